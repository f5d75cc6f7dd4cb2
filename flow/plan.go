package flow

import (
	"time"

	"weir"
)

// period is the length of one interval: no calendar logic, a day is 24 hours and a week is 7 days (flow-service §8.2).
// It is 0 for frequency once.
func period(s *weir.Schedule) time.Duration {
	unit := map[string]time.Duration{
		"minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour, "week": 7 * 24 * time.Hour,
	}[s.Frequency]
	n := s.Interval.Value
	if !s.Interval.Set {
		n = 1
	}
	return time.Duration(n) * unit
}

// nextTick is the next moment at which a flow is due, given when its last run was planned (zero: it never ran). The first tick of
// a schedule that began in the past is now; missed ticks are not replayed; later ticks stay on the grid anchored at the start
// time. ok is false when no tick is left.
func nextTick(s *weir.Schedule, last, now time.Time) (tick time.Time, ok bool) {
	start := s.Start()
	switch every := period(s); {
	case last.IsZero():
		tick = start
		if tick.Before(now) {
			tick = now
		}
	case every <= 0:
		return time.Time{}, false
	default:
		from := last
		if now.After(from) {
			from = now
		}
		k := from.Sub(start)/every + 1
		if from.Before(start) {
			k = 0
		}
		tick = start.Add(k * every)
	}
	if s.EndTime.Set && tick.After(weir.EpochTime(s.EndTime.Value)) {
		return time.Time{}, false
	}
	return tick, true
}

// nextWindow is what a scheduled run at tick takes: everything after the watermark; without one, everything that exists (backfill)
// or what appeared since the start time.
func nextWindow(s *weir.Schedule, watermark, tick time.Time) weir.Window {
	w := weir.Window{Start: watermark, End: tick}
	if w.Start.IsZero() && s.Frequency != "once" && s.Backfill.Set && !s.Backfill.Value {
		w.Start = s.Start()
		if w.Start.After(w.End) {
			w.Start = w.End
		}
	}
	return w
}
