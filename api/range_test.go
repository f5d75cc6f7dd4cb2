package api

import "testing"

func TestParseRange(t *testing.T) {
	for _, c := range []struct {
		header       string
		size, off, n int64
		status       int // 0: outside
	}{
		{"", 10, 0, 10, 200},
		{"bytes=0-99", 1000, 0, 100, 206},
		{"bytes=0-99", 10, 0, 10, 206},
		{"bytes=5-", 10, 5, 5, 206},
		{"bytes=-3", 10, 7, 3, 206},
		{"bytes=-30", 10, 0, 10, 206},
		{"bytes = 2 - 3", 10, 2, 2, 206},
		{"bytes=9-9", 10, 9, 1, 206},
		{"bytes=10-", 10, 0, 0, 0},
		{"bytes=10-20", 10, 0, 0, 0},
		{"bytes=-0", 10, 0, 0, 0},
		{"bytes=0-", 0, 0, 0, 0},
		{"bytes=-5", 0, 0, 0, 0},
		{"bytes=3-2", 10, 0, 10, 200},
		{"bytes=0-1,4-5", 10, 0, 10, 200},
		{"bytes=a-b", 10, 0, 10, 200},
		{"bytes=1", 10, 0, 10, 200},
		{"lines=0-1", 10, 0, 10, 200},
		{"bytes=0-99999999999999999999", 10, 0, 10, 200},
	} {
		off, n, status, err := parseRange(c.header, c.size)
		if (err != nil) != (c.status == 0) || err == nil && (off != c.off || n != c.n || status != c.status) {
			t.Errorf("%q of %d: %d+%d, %d, %v", c.header, c.size, off, n, status, err)
		}
	}
}

func FuzzParseRange(f *testing.F) {
	f.Add("bytes=0-99", int64(10))
	f.Add("bytes=-5", int64(0))
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 {
			return
		}
		off, n, _, err := parseRange(header, size)
		if err == nil && (off < 0 || n < 0 || off+n > size) {
			t.Fatalf("%q of %d: %d+%d", header, size, off, n)
		}
	})
}
