"""Expressions written by hand: one for each rule that a generator would seldom meet."""

GOOD = """
1
-1
+1
1.5e3
.5
5.
0x1F
010
089
Inf
-inf
NaN
"text"
'single \\'quoted\\' \\x41 \\u00e9'
`raw \\n`
1 + 2 * 3 ^ 2 ^ 0.5
-2 ^ 2
2 ^ -1
2 ^ -1 * 3
--3
7 % 3 - -7 % 3
1 atan2 2
1 == bool 1
1 > bool 2
NaN == bool NaN
1 / 0
-1 / 0
0 / 0
pi()
time()
time() - 5 # a comment to the end
(((temperature)))
# a comment
temperature{floor="1",}
temperature{ floor = "1" , room = 'hall' }
{__name__="temperature"}
{__name__=~"temp.*|lim.t", floor="2"}
{__name__="temperature", room=~"K.che"}
temperature{room="a \\"b\\" \\\\ c"}
temperature{absent=""}
temperature{absent!=""}
temperature{room=~""}
temperature{room!=""}
temperature{room=~"hall|"}
temperature{floor=~"1|2", room!~"hall|kit.+"}
nothing
nothing{a="b"}
temperature[2m]
temperature[2m] offset 5m
temperature{floor="1"}[90s] @ 1700003000
temperature offset 5m
temperature offset -5m
temperature @ 1700003000
temperature @ 1700003000.5 offset 1m
temperature offset 1m @ 1700003000
temperature @ start()
temperature @ end()
rate(http_requests_total[5m] @ end())
sum(rate(http_requests_total[5m] offset 10m)) by (job)
single
single offset 30m
slow_total
rate(slow_total[5m])
rate(slow_total[2m])
rate(late_total[5m])
rate(late_total[1h])
rate(early_total[5m])
increase(early_total[1h])
increase(fresh_total[30m])
rate(fresh_total[10m])
rate(single[1h])
delta(single[1h])
irate(http_requests_total[1m])
idelta(temperature[1m])
deriv(temperature[10m])
deriv(stepped[10m])
deriv(strange[10m])
predict_linear(temperature[30m], 3600)
predict_linear(temperature[30m], -60)
changes(stepped[10m])
changes(strange[10m])
resets(http_requests_total[1h])
quantile_over_time(0.9, temperature[10m])
quantile_over_time(-1, temperature[10m])
quantile_over_time(2, temperature[10m])
quantile_over_time(NaN, temperature[10m])
quantile_over_time(0.5, strange[10m])
stddev_over_time(strange[10m])
avg_over_time(strange[20m])
sum_over_time(strange[20m])
min_over_time(strange[1h])
max_over_time(strange[1h])
last_over_time(strange[10m])
last_over_time(temperature[10m])
absent_over_time(nothing{a="b",c=~"d"}[5m])
absent_over_time(single[5m])
absent(nothing)
absent(nothing{a="b",a="c",d!="e",f="g"})
absent(temperature)
absent(single)
absent(sum(nothing{a="b"}))
count_over_time(slow_total[10m])
present_over_time(single[1h])
abs(-temperature)
ceil(temperature)
floor(-temperature)
round(temperature)
round(temperature, 0.1)
round(-temperature, 5)
round(stepped)
clamp(temperature, 19, 21)
clamp(temperature, 21, 19)
clamp(temperature, NaN, 21)
clamp_min(temperature, 20)
clamp_max(temperature, 20)
clamp_max(strange, Inf)
sgn(temperature - 20)
sgn(strange)
sqrt(strange)
ln(strange)
exp(temperature)
log2(http_requests_total)
log10(http_requests_total)
scalar(single)
scalar(temperature)
scalar(nothing)
scalar(temperature{floor="1",room="hall"}) * 2
vector(1)
vector(time())
vector(1) + vector(2)
timestamp(temperature)
timestamp(temperature offset 1m)
timestamp(slow_total)
timestamp(vector(1))
timestamp(temperature + 0)
sort(temperature)
sort_desc(temperature)
sort(strange)
sort_desc(strange)
topk(3, temperature)
bottomk(3, temperature)
topk(100, temperature)
topk(0, temperature)
topk(-1, temperature)
topk(2, temperature) by (floor)
topk by (floor) (1, temperature)
topk(2, strange)
bottomk(2, strange)
topk(3, sum by (job, code) (rate(http_requests_total[5m])))
topk(scalar(count(stepped)), temperature)
sum(temperature)
sum by (floor) (temperature)
sum(temperature) by (floor, room)
sum without (room) (temperature)
sum by (floor, absent) (temperature)
SUM BY (floor) (temperature)
sum by (floor,) (temperature)
avg(strange)
avg by (floor) (temperature)
max(strange)
min(strange)
count(strange)
count by (job) (http_requests_total)
group by (job) (http_requests_total)
stddev(temperature)
stdvar by (floor) (temperature)
stddev(strange)
quantile(0.5, temperature)
quantile(0.25, temperature) by (floor)
quantile(1.5, temperature)
quantile(-0.5, temperature)
quantile(0.5, strange)
count_values("value", stepped)
count_values("value", round(temperature))
count_values by (floor) ("value", round(temperature))
count_values without (room) ("floor", round(temperature))
histogram_quantile(0.9, rate(request_seconds_bucket[5m]))
histogram_quantile(0.5, sum by (le) (rate(request_seconds_bucket[5m])))
histogram_quantile(0.99, sum by (job, le) (increase(request_seconds_bucket[30m])))
histogram_quantile(0, request_seconds_bucket)
histogram_quantile(1, request_seconds_bucket)
histogram_quantile(0.001, request_seconds_bucket)
histogram_quantile(0.99999, request_seconds_bucket)
histogram_quantile(-1, request_seconds_bucket)
histogram_quantile(1.1, request_seconds_bucket)
histogram_quantile(NaN, request_seconds_bucket)
histogram_quantile(0.5, falling_bucket)
histogram_quantile(0.5, odd_bucket)
histogram_quantile(0.9, endless_bucket)
histogram_quantile(0.1, negative_bucket)
histogram_quantile(0.5, negative_bucket)
histogram_quantile(0.9, negative_bucket)
histogram_quantile(0.9, empty_bucket)
histogram_quantile(0.5, temperature)
histogram_quantile(0.5, {__name__=~"falling_bucket|negative_bucket"})
rate(request_seconds_sum[5m]) / rate(request_seconds_count[5m])
sum(rate(http_requests_total{code=~"5.."}[5m])) / sum(rate(http_requests_total[5m]))
sum by (job) (rate(http_requests_total{code="500"}[5m])) / sum by (job) (rate(http_requests_total[5m]))
temperature - limit
temperature > limit
temperature > bool limit
temperature >= on (floor, room) limit
temperature == temperature
temperature + on (floor, room) limit
temperature * ignoring (nothing) limit
temperature - on (floor) group_left limit_of_floor
temperature > on (floor) group_left () limit_of_floor
temperature > bool on (floor) group_left limit_of_floor
limit_of_floor - on (floor) group_right temperature
limit_of_floor < on (floor) group_right (room) temperature
http_requests_total * on (job) group_left (version) build_info
sum by (job) (rate(http_requests_total[5m])) * on (job) group_left (version, absent) build_info
temperature and limit > 21
temperature and on (floor) limit_of_floor > 20
temperature or limit
temperature or on (floor) limit_of_floor
nothing or temperature
temperature unless on (floor, room) limit > 21
temperature unless nothing
temperature and nothing
temperature and on () vector(1)
vector(1) or on () temperature
temperature > 20
20 < temperature
20 > bool temperature
temperature != 20
temperature % 7
-temperature % 7
2 ^ stepped
stepped ^ 2 ^ 0.5
-stepped ^ 2
temperature atan2 2
stepped atan2 stepped
temperature / 0
temperature * NaN
strange == strange
strange != strange
strange + strange
1 - -temperature
temperature + limit * 2 - 3
temperature > 19 < 21
temperature > (limit - 1) and temperature < limit
on
label_replace(temperature, "place", "$1-$2", "room", "(.)(.*)")
label_replace(temperature, "room", "", "room", ".*")
label_replace(temperature, "place", "${first}x", "room", "(?P<first>h.).*")
label_replace(temperature, "place", "$1x $$ $", "room", "(h.).*")
label_replace(temperature, "place", "x", "room", "h")
label_replace(temperature, "place", "new", "absent", "")
label_replace(temperature, "__name__", "renamed", "floor", "1")
label_join(temperature, "both", "/", "floor", "room")
label_join(temperature, "room", "/")
label_join(temperature, "both", "", "absent", "room")
sum by (both) (label_join(temperature, "both", "/", "floor", "room"))
sum
sum{a="b"}
sum(sum)
offset
by + without
rate(http_requests_total[1h30m])
rate((http_requests_total[5m]))
rate(http_requests_total[5m])  >  0.5
max(max_over_time(temperature[10m])) - min(min_over_time(temperature[10m]))
{__name__=~"twin_.*"}
last_over_time({__name__=~"twin_.*"}[5m])
sum({__name__=~"twin_.*"})
{__name__=~"twin_.*"} > 0
rate(http_requests_total[5m] offset 1h)
avg without (instance) (rate(http_requests_total[5m]))
count(http_requests_total) by (__name__)
sum without (__name__) (temperature)
""".strip("\n").split("\n")

# Both refuse them, with the same type of error.
BAD = """
sum by (
temperature{
temperature{floor}
temperature{floor=1}
temperature{floor="1"
temperature{floor="1"}}
temperature{"floor"="1"}
temperature{1floor="1"}
temperature{room=~"("}
temperature{room=~"*"}
temperature{__name__="other"}
{}
{room=""}
{room=~".*"}
{room!="hall"}
temperature[5m
temperature[5]
temperature[]
temperature[0s]
temperature[5m5h]
temperature[1h1h]
temperature[5x]
temperature[5m][5m]
(temperature)[5m]
temperature offset
temperature offset 5
temperature offset 5m offset 5m
temperature @ 5 @ 6
temperature @ x
temperature @ NaN
(temperature) offset 5m
rate(temperature[5m]) offset 5m
temperature offset 5m [5m]
temperature +
+ temperature +
* temperature
temperature temperature
temperature 5
1 2
(1
1)
)
1 == 1
1 and 2
temperature and 1
temperature or "a"
"a" + "b"
-"a"
-temperature[5m]
temperature[5m] + 1
temperature == bool
temperature + bool limit
temperature and bool limit
temperature and on (floor) group_left limit
temperature + on (floor) group_left (floor) limit
temperature + on floor limit
1 + on (floor) temperature
temperature + group_left limit
rate(temperature)
rate(temperature[5m], 1)
rate()
rate(temperature[5m],)
RATE(temperature[5m])
unknown(temperature)
abs(1)
abs("a")
abs()
vector(temperature)
scalar(1)
time(1)
sum()
sum(1)
sum(temperature, 2)
topk(temperature)
topk("a", temperature)
topk(1, 2)
count_values(1, temperature)
quantile(temperature, 0.5)
sum by (1) (temperature)
sum by (a b) (temperature)
sum by ("a") (temperature)
label_replace(temperature, "a", "b", "c")
label_join(temperature)
histogram_quantile(temperature, 0.5)
clamp(temperature, 1)
round(temperature, 1, 2)
"abc
'abc
`abc
"a\\qb"
"\\x4"
'\\"'
1e
1e999
0x
0xg
1a
5m
1.2.3
=
temperature = 5
temperature =~ "a"
temperature & limit
temperature !
$x
temperature{a="b" c="d"}
temperature{,}
temperature{a="b",,}
a:b{c:d="e"}
-{__name__=~"twin_.*"}
{__name__=~"twin_.*"} * 2
abs({__name__=~"twin_.*"})
rate({__name__=~"twin_.*"}[5m])
temperature + on (floor) limit
temperature == on (floor) limit
temperature - on (floor) group_left limit
limit_of_floor * on (floor) temperature
http_requests_total * on (job) group_left (code) http_requests_total
temperature > on () limit
topk(NaN, temperature)
count_values("1x", stepped)
label_replace(temperature, "1x", "", "room", ".*")
label_replace(temperature, "x", "", "room", "(")
label_join(temperature, "1x", "", "room")
label_replace(temperature, "room", "same", "room", ".*")
temperature or on () temperature
topk(1e30, temperature)
""".strip("\n").split("\n") + ["", " ", "# only a comment", "(" * 300 + "temperature", "temperature\n+\n"]

# Prometheus answers these; Crest says which part of the language it lacks.
UNSUPPORTED = {
    "rate(temperature[5m:1m])": "subqueries",
    "max_over_time(rate(http_requests_total[5m])[30m:1m])": "",
    "hour(vector(time()))": "hour",
    "sin(temperature)": "sin",
    "holt_winters(temperature[10m], 0.5, 0.5)": "holt_winters",
    "(" * 300 + "temperature" + ")" * 300: "nested",
}
