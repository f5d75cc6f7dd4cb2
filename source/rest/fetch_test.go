package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir"
	"weir/internal/fakesource"
)

// binding makes a spec of attributes against a server.
func binding(url, attributes string) weir.Binding {
	return weir.Binding{Spec: json.RawMessage(strings.ReplaceAll(`{"name":"t","sourceSpec":{"attributes":`+attributes+`}}`, "$HOST", url))}
}

const offsetSource = `{"urlParams":{"host":"$HOST","path":"/items","method":"GET"},"contentPath":{"path":"$.items"},"paginationParams":{"type":"OFFSET","limitName":"limit","limitValue":7,"offSetName":"offset"}}`

// impatient is for sources that hang: a busy machine needs no longer for an answer that comes at all.
func impatient(o *Options) {
	o.Limits.Idle, o.Limits.Header = 250*time.Millisecond, 250*time.Millisecond
}

// waits is impatient for the kinds of faults that hang.
func waits(kind string) func(*Options) {
	return func(o *Options) {
		if kind == "hang" || kind == "stall" {
			impatient(o)
		}
	}
}

func open(t *testing.T, b weir.Binding, change func(*Options)) *Source {
	t.Helper()
	opt := testOptions()
	opt.Limits = Limits{Attempts: 4, Idle: time.Minute, Header: time.Minute}
	if change != nil {
		change(&opt)
	}
	s, err := Open(t.Context(), b, opt)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestFaultsAreRetried: every passing failure at any request leaves the records exact, and the page is asked for again.
func TestFaultsAreRetried(t *testing.T) {
	for _, kind := range []string{"cut", "drop", "hang", "stall", "length", "close", "status"} {
		for _, gz := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s gzip %v", kind, gz), func(t *testing.T) {
				fake := fakesource.New(fakesource.Scenario{
					Path: "/items", Records: 40, Content: "items", After: `"total":40`, Gzip: gz, Paging: fakesource.Paging{Type: "offset"},
					Faults: []fakesource.Fault{{Kind: kind, Request: 1, Status: 503}, {Kind: kind, Every: 3, Status: 429}},
				})
				srv := httptest.NewServer(fake)
				defer srv.Close()
				s := open(t, binding(srv.URL, offsetSource), waits(kind))
				records, chunks, err := collect(t, s, weir.Window{End: time.Now()}, nil)
				if err != nil || len(records) != 40 || len(chunks) != 6 {
					t.Fatalf("%d records in %d chunks, %v", len(records), len(chunks), err)
				}
				for i, r := range records {
					if !strings.Contains(r, fmt.Sprintf(`"id":%d,`, i)) {
						t.Fatalf("record %d is %s", i, r)
					}
				}
			})
		}
	}
}

// TestFaultsThatStay fail with a sentence that says what and where.
func TestFaultsThatStay(t *testing.T) {
	for kind, want := range map[string]string{
		"latin1": "not valid UTF-8", "html": "HTML or XML", "json": "more text follows", "bomb": "unfolds to more than",
		"hang": "no answer within", "stall": "sent less than", "cut": "broke off", "empty": "cut off", "close": "cut off", "drop": "cannot be reached",
	} {
		t.Run(kind, func(t *testing.T) {
			srv := httptest.NewServer(fakesource.New(fakesource.Scenario{
				Path: "/items", Records: 40, Content: "items", Paging: fakesource.Paging{Type: "offset"}, Faults: []fakesource.Fault{{Kind: kind, Every: 1}},
			}))
			defer srv.Close()
			s := open(t, binding(srv.URL, offsetSource), func(o *Options) {
				o.Limits.Attempts = 2
				waits(kind)(o)
			})
			records, _, err := collect(t, s, weir.Window{End: time.Now()}, nil)
			var e *weir.Error
			if !errors.As(err, &e) || !strings.Contains(e.Message, want) || !strings.Contains(e.Message, srv.URL+"/items") || len(records) > 0 {
				t.Errorf("%d records, error %v, want %s", len(records), err, want)
			}
		})
	}
}

// TestDrip: a source that sends a byte now and then is not waited for for ever.
func TestDrip(t *testing.T) {
	stop := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		_, _ = io.WriteString(w, "[")
		for {
			select {
			case <-tick.C:
				if _, err := io.WriteString(w, " "); err != nil {
					return
				}
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				return
			case <-stop:
				return
			}
		}
	}))
	defer srv.Close()
	defer close(stop)
	s := open(t, binding(srv.URL, `{"urlParams":{"host":"$HOST","path":"/"},"contentPath":"$"}`), func(o *Options) {
		impatient(o)
		o.Limits.Attempts = 1
	})
	_, _, err := collect(t, s, weir.Window{End: time.Now()}, nil)
	if weir.CodeOf(err) != "CONNECTOR-1012-504" {
		t.Errorf("%v", err)
	}
}

// TestPrivateAddress: without an allow-list nothing inside can be reached, by address, by name or by redirect.
func TestPrivateAddress(t *testing.T) {
	var hits atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	defer srv.Close()
	port := srv.URL[strings.LastIndexByte(srv.URL, ':'):]
	for _, host := range []string{srv.URL, "http://localhost" + port, "http://[::ffff:127.0.0.1]" + port, "http://0.0.0.0" + port, "http://169.254.169.254"} {
		s := open(t, binding(host, `{"urlParams":{"host":"$HOST","path":"/"},"contentPath":"$"}`), func(o *Options) { o.AllowPrivate = nil })
		_, _, err := collect(t, s, weir.Window{End: time.Now()}, nil)
		if err == nil || !strings.Contains(err.Error(), "private address") {
			t.Errorf("%s: %v", host, err)
		}
		if err := s.Test(t.Context()); weir.CodeOf(err) != "CONNECTOR-1308-400" {
			t.Errorf("test %s: %v", host, err)
		}
	}
	if hits.Load() != 0 {
		t.Errorf("%d requests came through", hits.Load())
	}
	bounce := httptest.NewServer(http.RedirectHandler("http://10.0.0.1/latest", http.StatusFound))
	defer bounce.Close()
	s := open(t, binding(bounce.URL, `{"urlParams":{"host":"$HOST","path":"/"},"contentPath":"$"}`), nil)
	if _, _, err := collect(t, s, weir.Window{End: time.Now()}, nil); err == nil || !strings.Contains(err.Error(), "private address") {
		t.Errorf("redirect: %v", err)
	}
}

// TestLargePage: a page beyond what is held back goes out early; when its answer breaks off, the second try continues
// where the first stopped, and a page that changed in between fails.
func TestLargePage(t *testing.T) {
	const n = 30000
	pad := strings.Repeat("p", 500)
	for _, changed := range []bool{false, true} {
		var requests atomic.Int32
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			first := requests.Add(1) == 1
			var b bytes.Buffer
			b.WriteString(`{"items":[`)
			for i := range n {
				if i > 0 {
					b.WriteByte(',')
				}
				id := i
				if changed && !first {
					id++
				}
				fmt.Fprintf(&b, `{"id":%d,"pad":%q}`, id, pad)
			}
			b.WriteString(`]}`)
			if first {
				w.Header().Set("Content-Length", fmt.Sprint(b.Len()))
				_, _ = w.Write(b.Bytes()[:b.Len()*3/4])
				return
			}
			_, _ = w.Write(b.Bytes())
		}))
		s := open(t, binding(srv.URL, `{"urlParams":{"host":"$HOST","path":"/"},"contentPath":"$.items"}`), func(o *Options) { o.Limits.Idle = time.Minute; o.Limits.Header = time.Minute })
		records, chunks, err := collect(t, s, weir.Window{End: time.Now()}, nil)
		srv.Close()
		if changed {
			if err == nil || !strings.Contains(err.Error(), "different records") {
				t.Errorf("%v", err)
			}
			continue
		}
		if err != nil || len(records) != n || len(chunks) < 10 || requests.Load() != 2 {
			t.Fatalf("%d records in %d chunks with %d requests, %v", len(records), len(chunks), requests.Load(), err)
		}
		for i, r := range records {
			if !strings.HasPrefix(r, fmt.Sprintf(`{"id":%d,`, i)) {
				t.Fatalf("record %d is %.40s", i, r)
			}
		}
		var total int64
		for i, c := range chunks {
			if c.PageEnd != (i == len(chunks)-1) {
				t.Errorf("chunk %d: page end %v", i, c.PageEnd)
			}
			total += c.Bytes
		}
		if total < n*500 {
			t.Errorf("%d bytes told", total)
		}
	}
}

// TestConsumerStops: leaving the loop early is fine at any chunk.
func TestConsumerStops(t *testing.T) {
	srv := httptest.NewServer(fakesource.New(fakesource.Scenario{Path: "/items", Records: 40, Content: "items", Paging: fakesource.Paging{Type: "offset"}}))
	defer srv.Close()
	s := open(t, binding(srv.URL, offsetSource), nil)
	n := 0
	for _, err := range s.Pages(t.Context(), weir.Window{End: time.Now()}, nil) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 2 {
			break
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, err := range s.Pages(ctx, weir.Window{End: time.Now()}, nil) {
		cancel()
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	}
}

// TestRefreshIsShared: 20 sources over one stored connection, whose refresh token works once, all go on with one renewal.
func TestRefreshIsShared(t *testing.T) {
	fake := fakesource.New(fakesource.Scenario{
		Path: "/items", Records: 40, Content: "items", Paging: fakesource.Paging{Type: "offset"},
		Auth: fakesource.Auth{Type: "oauth", Value: "stale-token", Refresh: "refresh-0", User: "app", Password: "app-secret"},
	})
	srv := httptest.NewServer(fake)
	defer srv.Close()
	fake.Revoke()
	var mu sync.Mutex
	stored := json.RawMessage(`{"accessToken":"stale-token","refreshToken":"refresh-0","clientId":"app","clientSecret":"app-secret","accessTokenUrl":"` + srv.URL + `/token"}`)
	var writes int
	b := binding(srv.URL, offsetSource)
	b.Spec = bytes.Replace(b.Spec, []byte(`"sourceSpec"`), []byte(`"authSpec":[{"name":"o","type":"OAuth2RefreshCode"}],"sourceSpec"`), 1)
	b.AuthSpec, b.Auth = "o", stored
	b.Rotate = func(ctx context.Context, renew func(context.Context, json.RawMessage) (json.RawMessage, error)) (json.RawMessage, error) {
		mu.Lock()
		defer mu.Unlock()
		fresh, err := renew(ctx, stored)
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(fresh, stored) {
			writes++
			stored = fresh
		}
		return stored, nil
	}
	var wg sync.WaitGroup
	for range 20 {
		s := open(t, b, func(o *Options) { o.Limits.Header = time.Minute })
		wg.Go(func() {
			n := 0
			for c, err := range s.Pages(t.Context(), weir.Window{End: time.Now()}, nil) {
				if err != nil {
					t.Error(err)
					return
				}
				n += c.Records
			}
			if n != 40 {
				t.Errorf("%d records", n)
			}
		})
	}
	wg.Wait()
	if writes != 1 || !bytes.Contains(stored, []byte("refresh-token-1")) {
		t.Errorf("%d renewals stored, %s", writes, stored)
	}
}

// TestRenewedTokensSurviveAFailedStore: the grant is spent, so the tokens that could not be stored are stored by the next try.
func TestRenewedTokensSurviveAFailedStore(t *testing.T) {
	fake := fakesource.New(fakesource.Scenario{Path: "/items", Data: []json.RawMessage{[]byte("{}")}, Content: "items", Auth: fakesource.Auth{Type: "oauth", Value: "stale-token", Refresh: "refresh-0"}})
	srv := httptest.NewServer(fake)
	defer srv.Close()
	fake.Revoke()
	stored := json.RawMessage(`{"accessToken":"stale-token","refreshToken":"refresh-0","accessTokenUrl":"` + srv.URL + `/token"}`)
	b := binding(srv.URL, offsetSource)
	b.Spec = bytes.Replace(b.Spec, []byte(`"sourceSpec"`), []byte(`"authSpec":[{"name":"o","type":"OAuth2RefreshCode"}],"sourceSpec"`), 1)
	b.AuthSpec, b.Auth = "o", stored
	full := true
	b.Rotate = func(ctx context.Context, renew func(context.Context, json.RawMessage) (json.RawMessage, error)) (json.RawMessage, error) {
		fresh, err := renew(ctx, stored)
		if err == nil && full {
			return nil, errors.New("disk full")
		}
		if err == nil {
			stored = fresh
		}
		return stored, err
	}
	s := open(t, b, nil)
	if _, _, err := collect(t, s, weir.Window{End: time.Now()}, nil); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Fatalf("%v", err)
	}
	full = false
	if records, _, err := collect(t, s, weir.Window{End: time.Now()}, nil); err != nil || len(records) != 1 {
		t.Fatalf("%v %v", records, err)
	}
	if !bytes.Contains(stored, []byte("refresh-token-1")) {
		t.Errorf("stored %s", stored)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		value, date string
		want        time.Duration
	}{
		{"", "", 0},
		{"3", "", 3 * time.Second},
		{"1.5", "", 1500 * time.Millisecond},
		{"-4", "", 0},
		{"soon", "", 0},
		{"99999999999", "", 0},
		{"Thu, 01 Jan 2026 00:00:05 GMT", "", 5 * time.Second},
		{"Thu, 01 Jan 2026 00:00:05 GMT", "Thu, 01 Jan 2026 00:00:03 GMT", 2 * time.Second},
		{"Wed, 31 Dec 2025 00:00:05 GMT", "", 0},
	} {
		h := http.Header{"Retry-After": {c.value}, "Date": {c.date}}
		if got := retryAfter(h, now); got != c.want {
			t.Errorf("%q at %q: %s, want %s", c.value, c.date, got, c.want)
		}
	}
}

// TestLongRetryAfter: a source that asks for more patience than allowed fails at once.
func TestLongRetryAfter(t *testing.T) {
	srv := httptest.NewServer(fakesource.New(fakesource.Scenario{Path: "/items", Faults: []fakesource.Fault{{Every: 1, Kind: "status", Status: 429, RetryAfter: "86400"}}}))
	defer srv.Close()
	s := open(t, binding(srv.URL, offsetSource), nil)
	_, _, err := collect(t, s, weir.Window{End: time.Now()}, nil)
	if err == nil || !strings.Contains(err.Error(), "asks to wait 24h0m0s") {
		t.Errorf("%v", err)
	}
}

func TestMasking(t *testing.T) {
	m := &masker{}
	m.add("s3cret/value")
	for in, want := range map[string]string{
		"a s3cret/value b": "a *** b", "a s3cret%2Fvalue b": "a *** b", "plain": "plain",
	} {
		if got := m.text(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}
