package api

import (
	"context"
	"errors"
	"net/http/httptest"
	"testing"

	"weir/record"
)

// A comparison takes ten thousand records and says when there are more; a client that went away ends it.
func TestDiffRecords(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := &call{req: httptest.NewRequestWithContext(ctx, "POST", "/", nil)}
	for _, size := range []int{maxDiff, maxDiff + 1} {
		n, more := 0, false
		for _, err := range c.diffRecords(&diffRequest{values: make([]record.Value, size)}, &more) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != maxDiff || more != (size > maxDiff) {
			t.Errorf("of %d records %d are compared, more is %v", size, n, more)
		}
	}
	cancel()
	var got []error
	more := false
	for _, err := range c.diffRecords(&diffRequest{values: make([]record.Value, 2)}, &more) {
		got = append(got, err)
	}
	if len(got) != 1 || !errors.Is(got[0], context.Canceled) {
		t.Errorf("after the client went away: %v", got)
	}
}
