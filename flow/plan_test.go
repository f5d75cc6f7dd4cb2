package flow

import (
	"testing"
	"time"

	"weir"
)

func at(t *testing.T, s string) time.Time {
	t.Helper()
	if s == "" {
		return time.Time{}
	}
	v, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func schedule(t *testing.T, start, frequency string, interval int64, end string) *weir.Schedule {
	t.Helper()
	s := &weir.Schedule{StartTime: weir.Int{Set: true, Value: at(t, start).Unix()}, Frequency: frequency}
	if interval > 0 {
		s.Interval = weir.Int{Set: true, Value: interval}
	}
	if end != "" {
		s.EndTime = weir.Int{Set: true, Value: at(t, end).Unix()}
	}
	return s
}

func TestNextTick(t *testing.T) {
	for _, c := range []struct {
		name, start, frequency string
		interval               int64
		end, last, now, want   string
	}{
		{"first in the past is now", "2031-01-01T00:00:00Z", "minute", 15, "", "", "2031-01-01T00:07:00Z", "2031-01-01T00:07:00Z"},
		{"first in the future waits", "2031-01-01T00:00:00Z", "hour", 1, "", "", "2030-12-31T23:00:00Z", "2031-01-01T00:00:00Z"},
		{"grid stays anchored", "2031-01-01T00:00:00Z", "minute", 15, "", "2031-01-01T00:07:00Z", "2031-01-01T00:08:00Z", "2031-01-01T00:15:00Z"},
		{"missed ticks are not replayed", "2031-01-01T00:00:00Z", "minute", 15, "", "2031-01-01T00:15:00Z", "2031-01-01T05:01:00Z", "2031-01-01T05:15:00Z"},
		{"on the tick goes to the next", "2031-01-01T00:00:00Z", "minute", 15, "", "2031-01-01T00:15:00Z", "2031-01-01T00:15:00Z", "2031-01-01T00:30:00Z"},
		{"day is 24 hours", "2031-03-29T12:00:00Z", "day", 1, "", "2031-03-29T12:00:00Z", "2031-03-29T12:00:01Z", "2031-03-30T12:00:00Z"},
		{"fortnight", "2031-01-01T00:00:00Z", "week", 2, "", "2031-01-01T00:00:00Z", "2031-01-02T00:00:00Z", "2031-01-15T00:00:00Z"},
		{"once runs once", "2031-01-01T00:00:00Z", "once", 0, "", "", "2031-02-01T00:00:00Z", "2031-02-01T00:00:00Z"},
		{"once is over", "2031-01-01T00:00:00Z", "once", 0, "", "2031-02-01T00:00:00Z", "2031-02-02T00:00:00Z", ""},
		{"end time", "2031-01-01T00:00:00Z", "hour", 1, "2031-01-01T02:30:00Z", "2031-01-01T02:00:00Z", "2031-01-01T02:10:00Z", ""},
		{"start moved after the last run", "2031-06-01T00:00:00Z", "hour", 1, "", "2031-01-01T02:00:00Z", "2031-01-01T02:10:00Z", "2031-06-01T00:00:00Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := nextTick(schedule(t, c.start, c.frequency, c.interval, c.end), at(t, c.last), at(t, c.now))
			if ok != (c.want != "") || ok && !got.Equal(at(t, c.want)) {
				t.Errorf("got %v %v, want %q", got, ok, c.want)
			}
		})
	}
}

func TestNextWindow(t *testing.T) {
	tick := "2031-01-02T00:00:00Z"
	for _, c := range []struct {
		name      string
		frequency string
		backfill  weir.Bool
		watermark string
		want      string
	}{
		{"backfill takes everything", "hour", weir.Bool{}, "", ""},
		{"backfill off starts at the start time", "hour", weir.Bool{Set: true}, "", "2031-01-01T00:00:00Z"},
		{"later runs start at the watermark", "hour", weir.Bool{Set: true}, "2031-01-01T12:00:00Z", "2031-01-01T12:00:00Z"},
		{"once has no lower bound", "once", weir.Bool{Set: true}, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := schedule(t, "2031-01-01T00:00:00Z", c.frequency, 1, "")
			s.Backfill = c.backfill
			got := nextWindow(s, at(t, c.watermark), at(t, tick))
			if !got.Start.Equal(at(t, c.want)) || !got.End.Equal(at(t, tick)) {
				t.Errorf("got %v..%v, want %q..%q", got.Start, got.End, c.want, tick)
			}
		})
	}
}
