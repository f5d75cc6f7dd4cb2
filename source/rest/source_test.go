package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/specs"
)

// local allows the test servers.
var local = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

func testOptions() Options {
	return Options{AllowPrivate: local, Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
}

func builtin(t *testing.T, id string) json.RawMessage {
	t.Helper()
	for _, s := range specs.Connections() {
		if s.ID == id {
			return s.Body
		}
	}
	t.Fatalf("no built-in spec %s", id)
	return nil
}

// collect reads all pages.
func collect(t *testing.T, s *Source, w weir.Window, from weir.Checkpoint) (records []string, chunks []weir.Chunk, err error) {
	t.Helper()
	for c, err := range s.Pages(t.Context(), w, from) {
		if err != nil {
			return records, chunks, err
		}
		if c.Restart {
			records = nil
		}
		if n := strings.Count(string(c.Data), "\n"); n != c.Records {
			t.Errorf("chunk has %d lines, says %d records", n, c.Records)
		}
		for line := range strings.Lines(string(c.Data)) {
			records = append(records, strings.TrimSuffix(line, "\n"))
		}
		c.Data = nil
		chunks = append(chunks, c)
	}
	return records, chunks, nil
}

func TestMailchimpSeed(t *testing.T) {
	const total = 250
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer tok-123456" {
			http.Error(w, `{"detail":"no"}`, http.StatusUnauthorized)
			return
		}
		if r.URL.Path != "/3.0/lists/L1/members" {
			http.NotFound(w, r)
			return
		}
		count, _ := strconv.Atoi(r.FormValue("count"))
		offset, _ := strconv.Atoi(r.FormValue("offset"))
		fmt.Fprint(w, `{"members":[`)
		for i := offset; i < min(offset+count, total); i++ {
			if i > offset {
				fmt.Fprint(w, ",")
			}
			fmt.Fprintf(w, "{\"id\":%d,\n \"name\":\"é\"}", i)
		}
		fmt.Fprint(w, `],"list_id":"L1","total_items":250}`)
	}))
	defer srv.Close()
	b := weir.Binding{
		Spec: builtin(t, "6360f136-5980-4111-8bdf-15d29eab3b5a"), AuthSpec: "OAuth generic-rest-connector",
		Auth: json.RawMessage(`{"accessToken":"tok-123456","refreshToken":"","expirationDate":"-1"}`), Params: json.RawMessage(`{"server":"us6","listId":"L1"}`),
		Host: srv.URL,
	}
	s, err := Open(t.Context(), b, testOptions())
	if err != nil {
		t.Fatal(err)
	}
	records, chunks, err := collect(t, s, weir.Window{End: time.Now()}, nil)
	if err != nil || len(records) != total || len(chunks) != 3 {
		t.Fatalf("%d records in %d chunks, %v", len(records), len(chunks), err)
	}
	if records[249] != `{"id":249,"name":"é"}` {
		t.Errorf("last record %s", records[249])
	}
	rest, _, err := collect(t, s, weir.Window{End: time.Now()}, chunks[0].Next)
	if err != nil || len(rest) != 150 || rest[0] != records[100] {
		t.Fatalf("resumed: %d records, %v", len(rest), err)
	}
	p, err := s.Explore(t.Context(), weir.ExploreQuery{ObjectType: "file", Object: "json", FileType: "json"})
	if err != nil || len(p.Data) != 1 || !strings.HasPrefix(string(p.Data[0]), `{"members":[`) {
		t.Fatalf("explore: %v %.80s", err, p.Data)
	}
	if err := s.Test(t.Context()); err != nil {
		t.Fatal(err)
	}
}
