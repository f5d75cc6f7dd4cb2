package flow

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

func readKeys(t *testing.T, s *keyStream) (lines []string) {
	t.Helper()
	for {
		line, err := s.next()
		if errors.Is(err, io.EOF) {
			return lines
		}
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(line))
	}
}

func sortedKeys(t *testing.T, bound int, lines []string) (*keySort, []*keyStream) {
	t.Helper()
	k := &keySort{bound: bound}
	t.Cleanup(k.close)
	for _, l := range lines {
		key, rest, _ := strings.Cut(l, "\t")
		if err := k.add([]byte(key), []byte("\t"), []byte(rest)); err != nil {
			t.Fatal(err)
		}
	}
	streams, err := k.streams()
	if err != nil {
		t.Fatal(err)
	}
	return k, streams
}

// TestKeySort: any number of keys in a bounded memory, each once and in order, and what one set has that another has not.
func TestKeySort(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 2))
	for _, bound := range []int{200, 5000, 1 << 20} {
		t.Setenv("TMPDIR", t.TempDir())
		known, now := map[string]bool{}, map[string]bool{}
		var a, b []string
		for range 20_000 {
			key := fmt.Sprintf(`["%d"]`, rng.IntN(8000))
			if bound == 200 && len(a) > 600 {
				break // each line a file of its own is enough
			}
			known[key] = true
			a = append(a, key+"\t["+key+"]")
			if rng.IntN(3) > 0 {
				now[key] = true
				b = append(b, key+"\t["+key+"]")
			}
		}
		sorter, streams := sortedKeys(t, bound, a)
		all, err := mergeKeys(streams)
		if err != nil {
			t.Fatal(err)
		}
		got := readKeys(t, all)
		if len(got) != len(known) || !slices.IsSorted(got) {
			t.Fatalf("bound %d: %d keys, want %d", bound, len(got), len(known))
		}
		if bound < 1<<20 && len(sorter.runs) == 0 || cap(sorter.buf) > 4*bound {
			t.Errorf("bound %d: %d files, %d bytes in memory", bound, len(sorter.runs), cap(sorter.buf))
		}
		streams, err = sorter.streams() // a second time
		if err != nil {
			t.Fatal(err)
		}
		if all, err = mergeKeys(streams); err != nil {
			t.Fatal(err)
		}
		_, others := sortedKeys(t, bound, b)
		listed, err := mergeKeys(others)
		if err != nil {
			t.Fatal(err)
		}
		gone := 0
		err = missingKeys(all, listed, func(line []byte) error {
			if gone++; now[string(keyOf(line))] {
				t.Errorf("%s is there", line)
			}
			return nil
		})
		if err != nil || gone != len(known)-len(now) {
			t.Errorf("bound %d: %d are gone, want %d: %v", bound, gone, len(known)-len(now), err)
		}
		if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
			t.Errorf("%d files are left over, %v", len(left), err)
		}
	}
}

func TestBufferedLines(t *testing.T) {
	long := strings.Repeat("x", 700<<10)
	next := bufferedLines(strings.NewReader("a\n\n" + long + "\nb"))
	for _, want := range []string{"a", "", long, "b"} {
		if got, err := next(); err != nil || string(got) != want {
			t.Errorf("%d bytes, want %d: %v", len(got), len(want), err)
		}
	}
	if _, err := next(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}
