package flow

import (
	"strings"
	"testing"
)

// TestSilence plays histories of runs: r read records, . none; a run with a ! must have a warning, the others none.
func TestSilence(t *testing.T) {
	for name, c := range map[string]struct {
		whole bool
		runs  string
	}{
		"never had any":                      {true, "...."},
		"everything, then nothing":           {true, "r.!.!r.!"},
		"windows":                            {false, "rrrr...!.!r"},
		"too young to tell":                  {false, "rr......"},
		"windows that are often empty":       {false, "rr..rrr....r......."},
		"much longer than the gaps before":   {false, "rrr.rrr...!"},
		"longer than the longest gap before": {false, "rrr...!rrr......r"},
		"more than twice the longest gap":    {false, "rrr...!rrr.......!"},
	} {
		var p past
		for i, run := range strings.ReplaceAll(c.runs, "!", "") {
			records := map[rune]int64{'r': 7, '.': 0}[run]
			rest := c.runs
			for n := 0; n <= i; n++ {
				rest = strings.TrimPrefix(rest, "!")[1:]
			}
			want := strings.HasPrefix(rest, "!")
			got := ""
			if records == 0 {
				got = p.doubt(c.whole)
			}
			if want != (got != "") || got != "" && !strings.Contains(got, "7") {
				t.Errorf("%s: run %d of %s: %q", name, i+1, c.runs, got)
			}
			p = p.after(records)
		}
	}
}

func TestOrdinal(t *testing.T) {
	for n, want := range map[int]string{1: "1st", 2: "2nd", 3: "3rd", 4: "4th", 11: "11th", 12: "12th", 22: "22nd", 113: "113th"} {
		if got := ordinal(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}
