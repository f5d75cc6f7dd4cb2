package rest

import (
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/fakesource"
)

// resumable pairs a way to page with the source that follows it.
var resumable = map[string]struct {
	paging     fakesource.Paging
	attributes string
}{
	"OFFSET":             {fakesource.Paging{Type: "offset"}, `"type":"OFFSET","limitName":"limit","limitValue":7,"offSetName":"offset"`},
	"PAGE":               {fakesource.Paging{Type: "page", First: 1}, `"type":"PAGE","limitName":"limit","limitValue":7,"pageParamName":"page","initialPageIndex":1`},
	"CONTINUATION_TOKEN": {fakesource.Paging{Type: "token", EmptyEvery: 5, Repeat: true}, `"type":"CONTINUATION_TOKEN","limitName":"limit","limitValue":7,"continuationTokenPath":"$.next","parameterName":"cursor"`},
	"OFFSET parallel":    {fakesource.Paging{Type: "offset"}, `"type":"OFFSET","limitName":"limit","limitValue":7,"offSetName":"offset"`},
	"PAGE parallel":      {fakesource.Paging{Type: "page", Total: "total"}, `"type":"PAGE","limitName":"limit","limitValue":7,"pageParamName":"page"`},
	"LINK":               {fakesource.Paging{Type: "link", EmptyEvery: 6}, `"type":"LINK"`},
	"NEXT":               {fakesource.Paging{Type: "token", Kind: "object", TokenIn: "body", Next: "meta.next"}, `"type":"NEXT","next":"page.meta.next","inject":{"body":"$.cursor"}`},
	"POINTER":            {fakesource.Paging{Type: "pointer", Relative: true, NextFirst: true, EmptyLast: true}, `"type":"POINTER","limitName":"limit","limitValue":7,"pointerPath":"$.next"`},
}

// TestKilledAnywhere stops the reading after a random chunk and goes on in a new source from the last checkpoint, with
// random failures in between: the records are exact, and no page is fetched more than once more per kill.
func TestKilledAnywhere(t *testing.T) {
	for name, r := range resumable {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(7, uint64(len(name))))
			for round := range 50 {
				const n = 60
				fake := fakesource.New(fakesource.Scenario{Path: "/items", Records: n, Content: "items", Paging: r.paging, Faults: []fakesource.Fault{{Every: 4 + round%7, Kind: []string{"cut", "status", "length"}[round%3], Status: 503}}})
				srv := httptest.NewServer(fake)
				attributes := `"paginationParams":{` + r.attributes + `}`
				ahead := 0
				if strings.HasSuffix(name, "parallel") {
					ahead = 4
					attributes += `,"weir":{"paging":{"parallel":4}}`
				}
				if name == "LINK" || name == "NEXT" {
					attributes = `"weir":{"body":{},"paging":{` + r.attributes + `}}`
				}
				b := binding(srv.URL, `{"urlParams":{"host":"$HOST","path":"/items","method":"POST","queryParams":{"limit":7}},"contentPath":"$.items",`+attributes+`}`)
				var got []string
				var from weir.Checkpoint
				pages, kills := 0, 0
				for done := false; !done; {
					stop := rng.IntN(5) // pages until the kill
					read := 0
					done = true
					for c, err := range open(t, b, func(o *Options) { o.Limits.Attempts = 9 }).Pages(t.Context(), weir.Window{End: time.Now()}, from) {
						if err != nil {
							t.Fatal(err)
						}
						if read++; read > stop {
							kills++
							done = false // this page was fetched but is lost
							break
						}
						for line := range strings.Lines(string(c.Data)) {
							got = append(got, line)
						}
						pages++
						if c.Next == nil {
							break
						}
						from = c.Next
					}
				}
				if len(got) != n {
					t.Fatalf("round %d: %d records", round, len(got))
				}
				for i, rec := range got {
					if !strings.HasPrefix(rec, fmt.Sprintf(`{"id":%d,`, i)) {
						t.Fatalf("round %d: record %d is %s", round, i, rec)
					}
				}
				calls := len(fake.Calls())
				if faults := calls/(4+round%7) + 1; calls > pages+kills+faults+ahead*(kills+1) {
					t.Errorf("round %d: %d requests for %d pages, %d kills and at most %d faults", round, calls, pages, kills, faults)
				}
				srv.Close()
			}
		})
	}
	for name := range pagers {
		if _, ok := resumable[name]; !ok && name != "NONE" {
			t.Errorf("pager %s is not resumed in this test", name)
		}
	}
}
