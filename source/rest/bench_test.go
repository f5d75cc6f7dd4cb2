package rest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir"
)

// memberPage is a page of n marketing members, about 1.3 KB each, 18 % with text beyond ASCII.
func memberPage(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"members":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		name := "Ann Example"
		if i%100 < 18 {
			name = "Zoë Ångström 漢字"
		}
		fmt.Fprintf(&b, `{"id":"%032x","email_address":"user%d@example.com","unique_email_id":"%010x","status":"subscribed","full_name":%q,"merge_fields":{"FNAME":"First%d","LNAME":"Last \"quoted\" %d","PHONE":"","ADDRESS":{"addr1":"%d Long Street Name","addr2":"","city":"Springfield","state":"IL","zip":"62701","country":"US"}},"stats":{"avg_open_rate":0.%d,"avg_click_rate":0.25,"ecommerce_data":{"total_revenue":1234.5,"number_of_orders":7,"currency_code":"USD"}},"ip_signup":"192.0.2.1","timestamp_signup":"2026-01-01T00:00:00+00:00","ip_opt":"198.51.100.7","timestamp_opt":"2026-01-01T00:00:00+00:00","member_rating":4,"last_changed":"2026-06-01T12:34:56+00:00","language":"en","vip":false,"email_client":"Client","location":{"latitude":39.8,"longitude":-89.65,"gmtoff":-6,"dstoff":-5,"country_code":"US","timezone":"America/Chicago"},"tags":[{"id":1,"name":"alpha"},{"id":2,"name":"beta gamma"}],"tags_count":2,"list_id":"abc123","notes":%q}`,
			i, i, i, name, i, i, i, i%90+10, strings.Repeat("note ", 40))
	}
	b.WriteString(`],"list_id":"abc123","total_items":1000000}`)
	return b.Bytes()
}

// BenchmarkCopy reads pages through the engine and, in the same run, with a bare client that only reads the bytes.
func BenchmarkCopy(b *testing.B) {
	const pageRecords, pages = 5000, 10
	page := memberPage(pageRecords)
	plain, zipped := make([][]byte, pages), make([][]byte, pages)
	for i := range pages { // pages that differ: equal ones would look like a source that does not turn them
		plain[i] = bytes.Replace(page, []byte("user0@"), fmt.Appendf(nil, "user%d@", i), 1)
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write(plain[i])
		_ = z.Close()
		zipped[i] = b.Bytes()
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		n, _ := strconv.Atoi(r.FormValue("offset"))
		if n /= pageRecords; n >= pages {
			_, _ = io.WriteString(w, `{"members":[]}`)
			return
		}
		if r.FormValue("gz") != "" {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(zipped[n])
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(page)))
		_, _ = w.Write(plain[n])
	}))
	defer srv.Close()
	for _, coding := range []string{"plain", "gzip"} {
		query := ""
		if coding == "gzip" {
			query = "gz=1"
		}
		b.Run(coding+"/bare", func(b *testing.B) {
			b.SetBytes(int64(len(page)) * pages)
			client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
			buf := make([]byte, 64<<10)
			start := cpu(b)
			for b.Loop() {
				for i := range pages {
					req, _ := http.NewRequestWithContext(b.Context(), http.MethodGet, fmt.Sprintf("%s?offset=%d&%s", srv.URL, i*pageRecords, query), nil)
					resp, err := client.Do(req)
					if err != nil {
						b.Fatal(err)
					}
					var body io.Reader = resp.Body
					if coding == "gzip" {
						if body, err = gzip.NewReader(body); err != nil {
							b.Fatal(err)
						}
					}
					for {
						if _, err := body.Read(buf); err != nil {
							break
						}
					}
					_ = resp.Body.Close()
				}
			}
			b.ReportMetric(float64(len(page))*pages*float64(b.N)/1e6/(cpu(b)-start).Seconds(), "MB/cpu-s")
		})
		for name, content := range map[string]string{"string": `"$.members"`, "object": `{"path":"$.members","keepAttributes":["list_id"],"overrideWrapperAttribute":"member"}`} {
			b.Run(coding+"/copy-"+name, func(b *testing.B) {
				b.SetBytes(int64(len(page)) * pages)
				b.ReportAllocs()
				start := cpu(b)
				opt := testOptions()
				s, err := Open(b.Context(), binding(srv.URL, `{"urlParams":{"host":"$HOST","path":"/?`+query+`"},"contentPath":`+content+
					`,"paginationParams":{"type":"OFFSET","offSetName":"offset","limitName":"limit","limitValue":`+strconv.Itoa(pageRecords)+`}}`), opt)
				if err != nil {
					b.Fatal(err)
				}
				for b.Loop() {
					n := 0
					for c, err := range s.Pages(b.Context(), weir.Window{End: time.Now()}, nil) {
						if err != nil {
							b.Fatal(err)
						}
						n += c.Records
					}
					if n != pageRecords*pages {
						b.Fatal(n)
					}
				}
				b.ReportMetric(float64(len(page))*pages*float64(b.N)/1e6/(cpu(b)-start).Seconds(), "MB/cpu-s")
			})
		}
	}
}

func BenchmarkScan(b *testing.B) {
	page := memberPage(5000)
	b.SetBytes(int64(len(page)))
	start := cpu(b)
	sel, _, err := parseSelector("contentPath", []byte(`"$.members"`), &expander{params: &params{}})
	if err != nil {
		b.Fatal(err)
	}
	c := newCutter(sel, nil, nil, "", func(_, _, _ []byte) error { return nil })
	for b.Loop() {
		c.begin()
		if err := c.run(bytes.NewReader(page)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(page))*float64(b.N)/1e6/(cpu(b)-start).Seconds(), "MB/cpu-s")
}

// cpu is the processor time of this process, which tells more than the clock on a busy machine.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
