"""Seeded series as OpenMetrics text, and expressions over them."""
import random

START = 1_700_000_000
SECONDS = 7_200
STEP = 15
END = START + SECONDS


def escaped(value):
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class Samples:
    """Writes what series did, each by its own clock: jitter, gaps, late beginnings, early ends."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.lines = []

    def times(self, step=STEP, jitter=0.4, begin=0.0, end=1.0, gaps=0.01):
        moment = START + SECONDS * begin + self.random.random() * step
        while moment < START + SECONDS * end:
            yield moment
            moment += step + (self.random.random() - 0.5) * jitter
            if self.random.random() < gaps:
                moment += self.random.choice([60, 200, 400])

    def series(self, name, labels, points):
        text = ",".join(f'{key}="{escaped(value)}"' for key, value in labels.items())
        for moment, value in points:
            self.lines.append(f"{name}{{{text}}} {value!r} {moment:.3f}".replace("inf", "Inf").replace("nan", "NaN"))

    def counter(self, name, labels, rate, resets=0.004, first=None, **clock):
        value = self.random.random() * 1000 if first is None else first
        points = []
        for moment in self.times(**clock):
            points.append((moment, float(int(value))))
            value = 0 if self.random.random() < resets else value + self.random.random() * rate * STEP
        self.series(name, labels, points)

    def gauge(self, name, labels, middle, spread, special=(), **clock):
        points = []
        for moment in self.times(**clock):
            value = middle + self.random.gauss(0, spread)
            if special and self.random.random() < 0.05:
                value = self.random.choice(special)
            points.append((moment, value))
        self.series(name, labels, points)

    def histogram(self, name, labels, bounds, rate):
        counts = [0] * (len(bounds) + 1)
        total, rows = 0.0, []
        for moment in self.times(gaps=0):
            for _ in range(self.random.randrange(rate)):
                value = self.random.lognormvariate(-1, 1)
                total += value
                place = next((i for i, bound in enumerate(bounds) if value <= float(bound)), len(bounds))
                counts[place] += 1
            rows.append((moment, list(counts), total))
        for index, bound in enumerate([*bounds, "+Inf"]):
            points = [(moment, float(sum(row[:index + 1]))) for moment, row, _ in rows]
            self.series(f"{name}_bucket", {**labels, "le": bound}, points)
        self.series(f"{name}_count", labels, [(moment, float(sum(row))) for moment, row, _ in rows])
        self.series(f"{name}_sum", labels, [(moment, total) for moment, _, total in rows])

    def text(self):
        return "\n".join([*self.lines, "# EOF", ""])


def generate(seed):
    samples = Samples(seed)
    for job in ("api", "web"):
        for instance in ("a:80", "b:80"):
            for method in ("GET", "POST"):
                for code in ("200", "404", "500"):
                    labels = {"job": job, "instance": instance, "method": method, "code": code}
                    samples.counter("http_requests_total", labels, rate=float(code[0]))
        samples.histogram("request_seconds", {"job": job}, ["0.05", "0.1", "0.25", "0.5", "1", "2.5"], rate=20)
        samples.gauge("build_info", {"job": job, "version": {"api": "1.2", "web": "2.0"}[job]}, 1, 0)
    for floor in ("1", "2"):
        for room in ("kitchen", "hall", 'a "b" \\ c', "Küche"):
            samples.gauge("temperature", {"floor": floor, "room": room}, 20, 3)
            samples.gauge("limit", {"floor": floor, "room": room}, 21, 0.5)
    samples.gauge("limit_of_floor", {"floor": "1"}, 21, 1)
    samples.gauge("limit_of_floor", {"floor": "2"}, 19, 1)
    for index in range(4):
        special = (float("nan"), float("inf"), -float("inf"), -0.0, 1e300, 1e-9)
        samples.gauge("strange", {"n": str(index)}, 0, 1e6, special=special)
    samples.gauge("stepped", {"kind": "whole"}, 3, 0)
    samples.gauge("stepped", {"kind": "half"}, 3.5, 0)
    samples.counter("late_total", {"job": "api"}, rate=5, begin=0.5, first=0, gaps=0)
    samples.counter("early_total", {"job": "api"}, rate=5, end=0.4, gaps=0)
    samples.counter("slow_total", {"job": "api"}, rate=5, step=140, gaps=0.2)
    samples.counter("fresh_total", {"job": "web"}, rate=0.02, first=0, begin=0.3, step=60)
    samples.gauge("single", {}, 5, 1, begin=0.5, end=0.502)
    samples.gauge("twin_one", {"x": "1"}, 5, 1)
    samples.gauge("twin_two", {"x": "1"}, 5, 1)
    for bound, count in (("0.1", 5), ("1", 3), ("2", 9), ("+Inf", 9)):
        samples.gauge("falling_bucket", {"le": bound}, count, 0, gaps=0)
    for bound, count in (("1", 3), ("1.0", 4), ("2", 9), ("+Inf", 12), ("many", 4)):
        samples.gauge("odd_bucket", {"le": bound}, count, 0, gaps=0)
    for bound, count in (("1", 3), ("2", 9)):
        samples.gauge("endless_bucket", {"le": bound}, count, 0, gaps=0)
    for bound, count in (("-1", 3), ("0", 5), ("+Inf", 9)):
        samples.gauge("negative_bucket", {"le": bound}, count, 0, gaps=0)
    samples.gauge("empty_bucket", {"le": "+Inf"}, 0, 0, gaps=0)
    samples.gauge("empty_bucket", {"le": "1"}, 0, 0, gaps=0)
    return samples.text()


SELECTORS = ["temperature", "http_requests_total", 'http_requests_total{code=~"2..|4.."}', "limit", "strange",
             'temperature{room!~"k.*"}', 'http_requests_total{job="api",method!="GET"}', "slow_total"]
RANGE_FUNCTIONS = ["rate", "increase", "irate", "delta", "idelta", "deriv", "changes", "resets", "avg_over_time",
                   "min_over_time", "max_over_time", "sum_over_time", "count_over_time", "last_over_time",
                   "present_over_time", "stddev_over_time", "stdvar_over_time", "absent_over_time"]
VALUE_FUNCTIONS = ["abs", "ceil", "floor", "exp", "ln", "log2", "log10", "sqrt", "sgn", "round", "timestamp", "absent"]
DISTINCT = ["temperature", "limit", "-temperature", "avg_over_time(temperature[5m])", "sum by (room) (temperature)",
            "temperature - limit", "deriv(limit[17m])"]
AGGREGATORS = ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"]
GROUPINGS = ["", " by (job)", " by (code, job)", " by (room)", " without (instance, method)", " without ()", " by ()",
             " by (__name__)", " by (nothing)"]
OPERATORS = ["+", "-", "*", "/", "%", "^", "atan2", "==", "!=", "<", ">", "<=", ">=", "== bool", "> bool", "and", "or",
             "unless"]
MATCHINGS = ["", "on (floor, room)", "ignoring (room)", "on (floor) group_left", "on (floor) group_right"]


def generated(seed):
    """Random expressions, most of them with an answer."""
    rng = random.Random(seed)

    def selector(width=None):
        text = rng.choice(SELECTORS) + (f"[{width}]" if width else "")
        if rng.random() < 0.15:
            text += " offset " + rng.choice(["1m", "-2m", "1h", "90s", "7m30s"])
        if rng.random() < 0.08:
            text += " @ " + rng.choice(["start()", "end()", str(START + 3000), f"{START + 1500}.5"])
        return text

    def vector(depth):
        kind = rng.randrange(8 if depth > 0 else 2)
        if kind == 0:
            return selector()
        if kind == 1:
            return f"{rng.choice(RANGE_FUNCTIONS)}({selector(rng.choice(['40s', '1m', '5m', '17m', '1h']))})"
        if kind == 2:
            return f"{rng.choice(VALUE_FUNCTIONS)}({vector(depth - 1)})"
        if kind == 3:
            return f"{rng.choice(AGGREGATORS)}{rng.choice(GROUPINGS)} ({vector(depth - 1)})"
        if kind == 4:
            # Which of equal values topk takes depends on the order of a hash map in Prometheus, so there are none.
            name = rng.choice(["topk", "bottomk", "quantile"])
            operand = vector(depth - 1) if name == "quantile" else rng.choice(DISTINCT)
            return f"{name}{rng.choice(GROUPINGS)} ({rng.choice(['1', '3', '0.5', '2 + 1'])}, {operand})"
        if kind == 5:
            return f"-({vector(depth - 1)})"
        if kind == 6:
            sides = [f"({vector(depth - 1)})", rng.choice(["0", "3.5", "-2", "1e3", "0x10", "time()", "NaN", "Inf"])]
            rng.shuffle(sides)
            operator = rng.choice(OPERATORS[:-3])
            return f"{sides[0]} {operator} {sides[1]}"
        operator, matching = rng.choice(OPERATORS), rng.choice(MATCHINGS)
        return f"({vector(depth - 1)}) {operator} {matching} ({vector(depth - 1)})"

    return [vector(rng.choice([1, 2, 2, 3])) for _ in range(250)]
