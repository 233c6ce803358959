"""The network simulator once more, in plain Python, to hold the compiled one against.

Written from the description, not from the code: events in a `heapq`, tables in dicts, and each rule
in its own sign (Q-routing and its kin add up costs, IC-Q rewards).
"""

import heapq
import math

from batonq.tasks.routing.networks.icq_router import (
    MEMORY_SERVICES,
    MOST_USED,
    USED_SERVICES,
    USUAL_STEP,
    YOUNG,
)


class Link:
    def __init__(self, tail, head, delay):
        self.tail, self.head, self.delay = tail, head, delay
        self.up, self.free = True, 0.0
        self.used = self.used_at = 0.0
        self.travel, self.travels = 0.0, 0
        self.usual = self.news_at = self.gain = 0.0

    def wait(self, now):
        return max(self.free - now, 0.0)


class Packet:
    def __init__(self, born, source, destination):
        self.born, self.source, self.destination = born, source, destination
        self.link, self.at, self.hops = None, source, 0


class Plain:
    def __init__(self, network, setting, name, rule, rng, alias, next_link):
        self.setting, self.name, self.rule, self.rng = setting, name, rule, rng
        self.alias, self.next_link, self.routers = alias, next_link, network.n_routers
        self.links = [
            Link(int(x), int(y), float(d))
            for x, y, d in zip(network.tail, network.head, network.delay, strict=True)
        ]
        self.own = [[e for e in self.links if e.tail == x] for x in range(network.n_routers)]
        keys = [(e, d) for e in self.links for d in range(network.n_routers)]
        self.value, self.recovery = dict.fromkeys(keys, 0.0), dict.fromkeys(keys, 0.0)
        self.best, self.updated = dict.fromkeys(keys, 0.0), dict.fromkeys(keys)
        self.count = dict.fromkeys(keys, 0)
        self.calendar, self.events, self.handoffs = [], 0, 0
        self.tally = [dict.fromkeys(("born", "delivered", "dropped", "hops", "delay"), 0)
                      for _ in range(setting.bins)]  # fmt: skip
        self.birth = rng.standard_exponential() / setting.rate

    def bin(self, packet):
        width = self.setting.horizon / self.setting.bins
        return self.tally[min(int(packet.born / width), self.setting.bins - 1)]

    def reverse(self, link):
        return next(e for e in self.own[link.head] if e.head == link.tail)

    def takes(self, link, now):
        return link.up and link.free - now <= self.setting.room * self.setting.service

    # Choosing: every rule returns a link (or None) and the answer in its own sign.

    def cost(self, link, d, now):
        value = self.value[link, d]
        if self.name == "q_routing_queue":
            return value + link.wait(now)
        if self.name == "predictive_q_routing" and self.updated[link, d] is not None:
            since = now - self.updated[link, d]
            return max(value + since * self.recovery[link, d], self.best[link, d])
        return value

    def by_cost(self, x, d, now):
        up = [e for e in self.own[x] if e.up]
        link = min(up, key=lambda e: self.cost(e, d, now))
        answer = self.cost(link, d, now)
        if self.name == "predictive_q_routing":
            answer = min(self.value[e, d] for e in up)
        return link, answer

    def reward(self, link, d, now):
        rule, service = self.rule, self.setting.service
        if not rule.private:
            return self.value[link, d]
        known = link.wait(now) + service + link.travel
        if rule.toll and service:
            used = min(
                link.used * math.exp(-(now - link.used_at) / (USED_SERVICES * service)), MOST_USED
            )
            known += rule.toll * (used / (1 - used) * (link.wait(now) + 0.5 * service))
        return -known + self.value[link, d]

    def by_reward(self, x, d, came, now):
        back = self.reverse(came) if came and not self.rule.returns else None
        up = [e for e in self.own[x] if e.up and e is not back]
        link, hoped, answers = None, -math.inf, []
        for e in up or [back]:  # straight back only where there is no other way
            heard = -1.0 if self.updated[e, d] is None else self.updated[e, d]
            hope = e.gain if self.rule.news and heard < e.news_at else 0.0
            answers.append(self.reward(e, d, now))
            if answers[-1] + hope > hoped:
                link, hoped = e, answers[-1] + hope
        answer = max(answers)
        if self.rule.explore and self.rng.random() < self.rule.explore and up:
            probe = min(up, key=lambda e: -1 if self.updated[e, d] is None else self.updated[e, d])
            link = probe if self.takes(probe, now) else link
        return link, answer

    def shortest(self, x, d, now):
        """Bellman and Ford's rounds from the destination, on the queues as they are."""
        far = dict.fromkeys(range(self.routers), math.inf)
        far[d] = 0.0
        for _ in range(self.routers):
            for e in self.links:
                if e.up:
                    there = e.wait(now) + self.setting.service + e.delay + far[e.head]
                    far[e.tail] = min(far[e.tail], there)
        up = [e for e in self.own[x] if e.up]
        step = self.setting.service
        return min(up, key=lambda e: e.wait(now) + step + e.delay + far[e.head], default=None)

    def choose(self, packet, x, now):
        d = packet.destination
        if self.name in ("shortest_path", "replan", "random"):
            if self.name == "shortest_path":
                link = self.links[self.next_link[x, d]]
            elif self.name == "replan":
                link = self.shortest(x, d, now)
            else:
                link = self.own[x][int(self.rng.random() * len(self.own[x]))]
            answer = 0.0
        elif self.name == "icq":
            link, answer = self.by_reward(x, d, packet.link, now)
        else:
            link, answer = self.by_cost(x, d, now)
        return (link if link and self.takes(link, now) else None), answer

    # Learning: the sender of a packet that has arrived is given the receiver's answer.

    def learn(self, packet, y, answer, now):
        link, d, key = packet.link, packet.destination, (packet.link, packet.destination)
        rule, service = self.rule, self.setting.service
        took, error = now - packet.sent, None
        link.travels += 1
        link.travel += (now - packet.start - service - link.travel) / link.travels
        if self.name == "icq":
            self.learn_rewards(link, d, answer, took, now)
        elif self.name in ("q_routing", "dual_q_routing"):
            self.value[key] += rule.step * (took + answer - self.value[key])
        elif self.name == "q_routing_queue":
            self.value[key] += rule.step * (service + link.delay + answer - self.value[key])
        elif self.name == "predictive_q_routing":
            error = took + answer - self.value[key]
            self.value[key] += rule.step * error
            if self.updated[key] is None:
                self.best[key] = self.value[key]
            else:
                self.best[key] = min(self.best[key], self.value[key])
                since = max(now - self.updated[key], service)
                if error < 0:
                    self.recovery[key] += rule.recovery * error / since
                elif error > 0:
                    self.recovery[key] *= rule.decay
            self.updated[key] = now
        if self.name == "dual_q_routing" and packet.source != y:
            back, key = self.reverse(link), (self.reverse(link), packet.source)
            told = back.wait(now) + service + back.delay + packet.told
            self.value[key] += rule.back_step * (told - self.value[key])

    def learn_rewards(self, link, d, answer, took, now):
        key, rule, service = (link, d), self.rule, self.setting.service
        if not rule.private:
            self.value[key] += rule.step * (-took + answer - self.value[key])
            return
        self.count[key] += 1
        size = max(self.count[key] ** -0.6, rule.step)
        error = answer - self.value[key]
        if service:
            since = now - (-1.0 if self.updated[key] is None else self.updated[key])
            size = max(size, 1 - math.exp(-since / (MEMORY_SERVICES * service)))
            if rule.news and self.count[key] > YOUNG and error > rule.news * link.usual:
                link.news_at, link.gain = now, error
            link.usual += USUAL_STEP * (abs(error) - link.usual)
        self.updated[key] = now
        self.value[key] += size * error

    # The world.

    def send(self, packet, link, now):
        service, jitter = self.setting.service, self.setting.jitter
        packet.link, packet.sent, packet.start = link, now, max(link.free, now)
        packet.hops += 1
        link.free = packet.start + service
        if service:
            fades = USED_SERVICES * service
            link.used = link.used * math.exp(-(now - link.used_at) / fades) + service / fades
            link.used_at = now
        travel = link.delay
        if jitter:
            travel *= 1 - jitter + jitter * self.rng.standard_exponential()
        self.put(link.free + travel, packet)

    def put(self, when, packet):
        self.events += 1
        heapq.heappush(self.calendar, (when, self.events, packet))

    def happen(self, packet, now):
        y = packet.link.head if packet.link else packet.at
        there = y == packet.destination
        link, answer = (None, 0.0) if there else self.choose(packet, y, now)
        if packet.link:
            self.handoffs += 1
            self.learn(packet, y, answer, now)
        if there:
            self.bin(packet)["delivered"] += 1
            self.bin(packet)["hops"] += packet.hops
            self.bin(packet)["delay"] += now - packet.born
        elif link is None or packet.hops >= self.setting.most_hops:
            self.bin(packet)["dropped"] += 1
        else:
            if self.name == "dual_q_routing":
                known = [self.value[e, packet.source] for e in self.own[y] if e.up]
                packet.told = 0.0 if packet.source == y else min(known)
            self.send(packet, link, now)

    def advance(self, until):
        while True:
            now = min(self.birth, self.calendar[0][0] if self.calendar else math.inf)
            if now >= until or now == math.inf:
                return
            if now == self.birth:
                self.birth = now + self.rng.standard_exponential() / self.setting.rate
                keep, other = self.alias
                pair = int(self.rng.random() * len(keep))
                pair = pair if self.rng.random() < keep[pair] else int(other[pair])
                packet = Packet(now, *divmod(pair, self.routers))
                self.bin(packet)["born"] += 1
            else:
                packet = heapq.heappop(self.calendar)[2]
            self.happen(packet, now)

    def finish(self):
        self.birth = math.inf
        self.advance(math.inf)

    def cut(self, number, now):
        called = 0
        for link in (self.links[number], self.reverse(self.links[number])):
            link.up = False
            link.free = min(link.free, now)
            on_link = [event for event in self.calendar if event[2].link is link]
            self.calendar = [event for event in self.calendar if event[2].link is not link]
            heapq.heapify(self.calendar)
            for _, _, packet in sorted(on_link):
                if packet.start > now:
                    packet.link, packet.at, packet.hops = None, link.tail, packet.hops - 1
                    self.put(now + called * math.ulp(now), packet)
                    called += 1
                else:
                    self.bin(packet)["dropped"] += 1

    def restore(self, number):
        for link in (self.links[number], self.reverse(self.links[number])):
            link.up = True
