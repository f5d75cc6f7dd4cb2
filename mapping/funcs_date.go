package mapping

import (
	"time"

	"weir/record"
)

const categoryDate = "Date / Time"

var dateFunctions = []function{
	{
		name: "now", category: categoryDate, impure: true,
		doc: "The instant of the record in UTC; the same in all mappings of a record.",
		sigs: []signature{{returns: kDate, fixed: true, run: func(c *call, _ []record.Value) (record.Value, error) {
			return record.DateOf(c.env().Now.UTC()), nil
		}}},
		examples: []example{{expr: `now() == now()`, want: "true"}},
	},
	{
		name: "timestamp", category: categoryDate, impure: true,
		doc: "The instant of the record in milliseconds since 1970.",
		sigs: []signature{{returns: kInt, fixed: true, run: func(c *call, _ []record.Value) (record.Value, error) {
			return record.IntOf(c.env().Now.UnixMilli()), nil
		}}},
		examples: []example{{expr: `timestamp() > 1600000000000`, want: "true"}, {expr: `date(timestamp()) <= now()`, want: "true"}},
	},
	{
		name: "date", category: categoryDate,
		doc: "Reads a date: in one of the known forms, or exactly by a pattern. A date stays as it is, an integer is milliseconds since 1970. The default is only for a null first argument; text that cannot be read is an error.",
		sigs: []signature{
			{params: []param{date("date", "text, date or epoch milliseconds")}, returns: kDate, run: func(_ *call, a []record.Value) (record.Value, error) { return a[0], nil }},
			{params: []param{{name: "date", doc: "text, date or epoch milliseconds"}, datePatternParam}, returns: kDate, run: dateByPattern},
			{
				params: []param{anything("date", "text, date or epoch milliseconds"), datePatternParam.orNull(), date("default", "the date for a null first argument").orNull()}, returns: kDate,
				run: func(c *call, a []record.Value) (record.Value, error) {
					if a[0].IsNull() {
						return a[2], nil
					}
					if a[1].IsNull() {
						return record.Null(), nil
					}
					return dateByPattern(c, a)
				},
			},
		},
		examples: []example{
			{expr: `date("03/07/2031")`, want: `"2031-03-07T00:00:00Z"`},
			{expr: `date("7.3.31", "d.M.yy")`, want: `"2031-03-07T00:00:00Z"`},
			{expr: `date(gone, "yyyy-MM-dd", date("2001-02-03"))`, want: `"2001-02-03T00:00:00Z"`},
			{expr: `date("tomorrow", "yyyy-MM-dd")`, fails: KindArgument},
			{expr: `date(86400000)`, want: `"1970-01-02T00:00:00Z"`},
			{expr: `date("2021-02-30")`, fails: KindArgument},
		},
	},
	{
		name: "format", category: categoryDate,
		doc: "Writes a date by a pattern, in the date's own zone.",
		sigs: []signature{{params: []param{date("date", "the date"), datePatternParam}, returns: kText, run: func(c *call, a []record.Value) (record.Value, error) {
			p, err := prepared[*datePattern](c, 1, a[1])
			if err != nil {
				return a[0], err
			}
			return record.TextOf(p.format(a[0].Time())), nil
		}}},
		examples: []example{{expr: `format(date("2031-03-07"), "EEE d MMM")`, want: `"Fri 7 Mar"`}, {expr: `format(when, "dd.MM.yyyy")`, in: `{"when":"2023-02-09"}`, want: `"09.02.2023"`}},
	},
	{
		name: "dformat", category: categoryDate,
		doc: "Writes milliseconds since 1970 by a pattern, in UTC.",
		sigs: []signature{{params: []param{whole("timestamp", "milliseconds since 1970"), datePatternParam}, returns: kText, run: func(c *call, a []record.Value) (record.Value, error) {
			d, err := epochDate(a[0])
			if err != nil {
				return d, err
			}
			p, err := prepared[*datePattern](c, 1, a[1])
			if err != nil {
				return d, err
			}
			return record.TextOf(p.format(d.Time())), nil
		}}},
		examples: []example{{expr: `dformat(86400000, "D")`, want: `"2"`}, {expr: `dformat(-1, "yyyy-MM-dd HH:mm:ss.SSS")`, want: `"1969-12-31 23:59:59.999"`}},
	},
	{
		name: "date_part", category: categoryDate,
		doc: "A part of a date as a number: year (yyyy, yy), quarter (qq, q), month (mm, m), dayofyear (dy, y), day (dd, d), week (ww, w), weekday (dw; Monday is 1), hour (hh, hh24, hh12), minute (mi, n), second (ss, s), millisecond (SSS, ms).",
		sigs: []signature{{params: []param{componentParam, date("date", "the date")}, returns: kInt, run: func(c *call, a []record.Value) (record.Value, error) {
			part, err := prepared[component](c, 0, a[0])
			if err != nil {
				return a[0], err
			}
			return record.IntOf(int64(part.of(a[1].Time()))), nil
		}}},
		examples: []example{{expr: `date_part("q", date("2031-03-07"))`, want: "1"}, {expr: `date_part("SSS", date("2019-10-17 15:55:12.345"))`, want: "345"}, {expr: `date_part("decade", now())`, fails: KindArgument}},
	},
	{
		name: "set_date_part", category: categoryDate,
		doc: "A date with one part changed: year, month, day, hour, minute or second. A new year or month keeps the day inside the month.",
		sigs: []signature{{params: []param{componentParam, whole("value", "the new value"), date("date", "the date")}, returns: kDate, run: func(c *call, a []record.Value) (record.Value, error) {
			part, err := prepared[component](c, 0, a[0])
			if err != nil {
				return a[0], err
			}
			t, err := part.set(a[2].Time(), clampInt(a[1]))
			return record.DateOf(t), err
		}}},
		examples: []example{
			{expr: `set_date_part("m", 4, date("2016-11-09T11:44:44.000Z"))`, want: `"2016-04-09T11:44:44Z"`},
			{expr: `set_date_part("month", 2, date("2021-01-31"))`, want: `"2021-02-28T00:00:00Z"`},
			{expr: `set_date_part("month", 13, date("2021-01-31"))`, fails: KindArgument},
		},
	},
	makeDate("make_date_time", "", `make_date_time(2019, 10, 17, 11, 55, 12, 0, "UTC")`, `"2019-10-17T11:55:12Z"`),
	makeDate("make_timestamp", "make_date_time", `make_timestamp(2020, 1, 2, 3, 4, 5, 0, "+02:00")`, `"2020-01-02T03:04:05+02:00"`),
	{
		name: "zone_date_to_utc", category: categoryDate,
		doc: "The same instant in UTC.",
		sigs: []signature{{params: []param{date("date", "the date")}, returns: kDate, run: func(_ *call, a []record.Value) (record.Value, error) {
			return record.DateOf(a[0].Time().UTC()), nil
		}}},
		examples: []example{{expr: `zone_date_to_utc(date("2019-10-17T11:55:12.000-08"))`, want: `"2019-10-17T19:55:12Z"`}},
	},
	{
		name: "zone_date_to_zone", category: categoryDate,
		doc: "The same instant in another zone.",
		sigs: []signature{{params: []param{date("date", "the date"), zoneParam}, returns: kDate, run: func(c *call, a []record.Value) (record.Value, error) {
			loc, err := zoneArg(c, 1, a[1])
			if err != nil {
				return a[0], err
			}
			return record.DateOf(a[0].Time().In(loc)), nil
		}}},
		examples: []example{{expr: `zone_date_to_zone(date("2021-07-01"), "Asia/Kolkata")`, want: `"2021-07-01T05:30:00+05:30"`}, {expr: `zone_date_to_zone(now(), "x/y")`, fails: KindArgument}},
	},
}

var (
	datePatternParam = text("pattern", "a date pattern such as yyyy-MM-dd").prepared(preparePattern)
	componentParam   = text("part", "the name of the part").prepared(prepareComponent)
	zoneParam        = text("zone", "a zone such as Europe/Paris or +02:00").prepared(prepareZone)
)

func dateByPattern(c *call, a []record.Value) (record.Value, error) {
	p, err := prepared[*datePattern](c, 1, a[1])
	if err != nil {
		return a[0], err
	}
	switch a[0].Kind() {
	case record.KindDate:
		return a[0], nil
	case record.KindInt:
		return epochDate(a[0])
	case record.KindText:
		t, ok := p.parse(a[0].Text())
		if !ok {
			return a[0], faultf(KindArgument, "%q is no date in the form %s", show(a[0].Text()), p.text)
		}
		return record.DateOf(t), nil
	default:
	}
	return a[0], faultf(KindType, "%s is no date", an(a[0].Kind()))
}

// zoneArg is a prepared zone; zones that are only known with the record are remembered by the Env.
func zoneArg(c *call, i int, v record.Value) (*time.Location, error) {
	if loc, ok := c.at[i].(*time.Location); ok {
		return loc, nil
	}
	return c.env().zone(v.Text())
}

func makeDate(name, alias, expr, want string) function {
	return function{
		name: name, category: categoryDate, alias: alias,
		doc: "A date of its parts. A time that the zone skips moves forward by the gap; one that comes twice is the earlier one.",
		sigs: []signature{{
			params: []param{
				whole("year", "the year"), whole("month", "1 to 12"), whole("day", "1 to 31"), whole("hour", "0 to 23"), whole("minute", "0 to 59"), whole("second", "0 to 59"),
				whole("nanosecond", "0 to 999999999"), zoneParam,
			}, returns: kDate,
			run: func(c *call, a []record.Value) (record.Value, error) {
				loc, err := zoneArg(c, 7, a[7])
				if err != nil {
					return a[0], err
				}
				var n [7]int
				for i := range n {
					n[i] = clampInt(a[i])
				}
				t, ok := time.Time{}, n[6] >= 0 && n[6] <= 999_999_999 && n[0] > -1_000_000_000 && n[0] < 1_000_000_000
				if ok {
					t, ok = civil(n[0], n[1], n[2], n[3], n[4], n[5], n[6], loc)
				}
				if !ok {
					return a[0], faultf(KindArgument, "there is no date %d-%02d-%02d %02d:%02d:%02d", n[0], n[1], n[2], n[3], n[4], n[5])
				}
				return record.DateOf(t), nil
			},
		}},
		examples: []example{{expr: expr, want: want}, {expr: name + `(2020, 1, 1, 24, 0, 0, 0, "UTC")`, fails: KindArgument}},
	}
}
