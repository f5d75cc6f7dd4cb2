package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"weir"
	"weir/blob"
	"weir/lake"
	"weir/source/rest"
)

// copyBench measures how fast pages come in beside a net/http client that only reads the bytes, and how much memory that takes for
// inputs of very different size. Readers are processes of their own; this one serves the pages and is not counted.
type copyBench struct {
	sizes   string
	members int
	rounds  int
	dir     string
	head    []byte // the answer up to the counter in its first record
	tail    []byte // and behind it
	zipped  []byte // the tail compressed
	url     string
}

// copyReaders are the contenders: a bare client, the engine, and the engine with a stage on disk, made durable after each page.
var copyReaders = []string{"bare", "weir", "stage"}

// copyMain is the subcommand: bench copy -sizes 10MB,1GB,10GB.
func copyMain(args []string) error {
	b := copyBench{}
	fs := flag.NewFlagSet("copy", flag.ContinueOnError)
	fs.StringVar(&b.sizes, "sizes", "10MB,1GB", "amounts of JSON to read")
	fs.IntVar(&b.members, "page", 5000, "records of a page")
	fs.IntVar(&b.rounds, "rounds", 3, "interleaved rounds")
	fs.StringVar(&b.dir, "dir", "../.cache/bench", "folder for the stage")
	read := fs.String("read", "", "be a reader: bare, weir or stage")
	url := fs.String("url", "", "of the pages, for a reader")
	pages := fs.Int("pages", 0, "how many, for a reader")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *read != "" {
		n, err := copyRead(context.Background(), *read, *url, *pages, b.members, b.dir)
		say("%d", peakMemory())
		if err == nil && n == 0 {
			err = errors.New("nothing was read")
		}
		return err
	}
	return b.run()
}

func (b *copyBench) run() error {
	if err := b.serve(); err != nil {
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintf(w, "input\tcoding\treader\tMB/s\tof bare\tMB/CPU-s\tof bare\tpeak MiB\t\n")
	for size := range strings.SplitSeq(b.sizes, ",") {
		want, err := parseSize(size)
		if err != nil {
			return err
		}
		body := len(b.head) + 12 + len(b.tail)
		pages := max(int(want/int64(body)), 1)
		total := float64(pages) * float64(body) / 1e6
		for _, coding := range []string{"plain", "gzip"} {
			samples := map[string][]measure{}
			for range b.rounds {
				for _, reader := range copyReaders {
					m, err := reading(exec.Command(os.Args[0], "copy", "-read", reader, "-url", b.url+"/"+coding, "-pages", strconv.Itoa(pages), "-page", strconv.Itoa(b.members), "-dir", b.dir)) //nolint:noctx,gosec // this program itself
					if err != nil {
						return err
					}
					samples[reader] = append(samples[reader], m)
				}
			}
			bare := median(samples["bare"])
			for _, reader := range copyReaders {
				m := median(samples[reader])
				_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%.0f\t%.2f\t%.0f\t%.2f\t%d\t\n", size, coding, reader, total/m.wall, bare.wall/m.wall, total/m.cpu, bare.cpu/m.cpu, m.rss>>20)
			}
		}
	}
	return w.Flush()
}

// reading runs a reader. Its peak memory is what it says itself: that of a fresh process counts what its parent had.
func reading(c *exec.Cmd) (m measure, err error) {
	start := time.Now()
	out, err := c.Output()
	if err != nil {
		return m, fmt.Errorf("%s: %w", strings.Join(c.Args, " "), err)
	}
	m.wall = time.Since(start).Seconds()
	m.usage(c.ProcessState)
	m.rss, err = strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	return m, err
}

// peakMemory is the most memory this process had, in bytes.
func peakMemory() int64 {
	status, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := bytes.Cut(status, []byte("VmHWM:"))
	var kb int64
	_, _ = fmt.Sscan(string(rest), &kb)
	return kb << 10
}

// parseSize reads 10MB or 1GB.
func parseSize(s string) (int64, error) {
	for unit, n := range map[string]int64{"MB": 1e6, "GB": 1e9} {
		if digits, ok := strings.CutSuffix(s, unit); ok {
			v, err := strconv.ParseInt(digits, 10, 64)
			return v * n, err
		}
	}
	return 0, fmt.Errorf("size %q: use for example 10MB or 1GB", s)
}

// serve starts a server whose pages differ in one number.
func (b *copyBench) serve() error {
	path := filepath.Join(os.TempDir(), fmt.Sprintf("weir-copy-%d.ndjson", os.Getpid()))
	defer os.Remove(path)
	if err := writeMembers(path, b.members); err != nil {
		return err
	}
	lines, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	lines = bytes.ReplaceAll(bytes.TrimSpace(lines), []byte("\n"), []byte(","))
	b.head, b.tail = []byte(`{"members":[{"page":`), append(append([]byte(`},`), lines...), `]}`...)
	var z bytes.Buffer
	zw := gzip.NewWriter(&z)
	_, _ = zw.Write(b.tail)
	if err := zw.Close(); err != nil {
		return err
	}
	b.zipped = z.Bytes()
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	b.url = "http://" + ln.Addr().String()
	srv := &http.Server{Handler: b, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = srv.Serve(ln) }() // ends with the process
	return nil
}

// ServeHTTP answers /plain or /gzip with page ?page=n.
func (b *copyBench) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.URL.Query().Get("page"))
	head := fmt.Appendf(slices.Clip(b.head), "%012d", 100_000_000_000+n)
	tail := b.tail
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path == "/gzip" {
		w.Header().Set("Content-Encoding", "gzip")
		var z bytes.Buffer
		zw := gzip.NewWriter(&z)
		_, _ = zw.Write(head)
		_ = zw.Close()
		head, tail = z.Bytes(), b.zipped // two members make one stream
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(head)+len(tail)))
	_, _ = w.Write(head)
	_, _ = w.Write(tail)
}

// copyRead reads pages in one of the three ways and returns the number of bytes or records.
func copyRead(ctx context.Context, how, url string, pages, members int, dir string) (n int64, err error) {
	if how == "bare" {
		return bareRead(ctx, url, pages)
	}
	base, path, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	spec, err := json.Marshal(doc{"sourceSpec": doc{"attributes": doc{
		"urlParams": doc{"host": "http://" + base, "path": "/" + path, "method": "GET"}, "contentPath": "$.members",
		"paginationParams": doc{"type": "PAGE", "pageParamName": "page", "limitName": "limit", "limitValue": members + 1, "initialPageIndex": 0, "endPageIndex": pages - 1},
	}}})
	if err != nil {
		return 0, err
	}
	src, err := rest.Open(ctx, weir.Binding{Spec: spec}, rest.Options{AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if err != nil {
		return 0, err
	}
	var part *lake.PartWriter
	if how == "stage" {
		root, err := os.MkdirTemp(dir, "stage-")
		if err != nil {
			return 0, err
		}
		defer os.RemoveAll(root)
		root, err = filepath.Abs(root)
		if err != nil {
			return 0, err
		}
		bucket, err := blob.Open(ctx, "file://"+root)
		if err != nil {
			return 0, err
		}
		l, err := lake.Open(ctx, bucket, nil)
		if err != nil {
			return 0, err
		}
		if part, err = l.NewPart(ctx, "run", 0); err != nil {
			return 0, err
		}
		defer part.Abort()
	}
	for c, err := range src.Pages(ctx, weir.Window{End: time.Now()}, nil) {
		if err != nil {
			return n, err
		}
		n += int64(c.Records)
		if part == nil {
			continue
		}
		if err := part.Append(c.Data, c.Records); err != nil {
			return n, err
		}
		if c.PageEnd {
			if _, err := part.Sync(); err != nil {
				return n, err
			}
		}
	}
	if want := int64(pages) * int64(members+1); n != want {
		return n, fmt.Errorf("%d records, want %d", n, want)
	}
	return n, nil
}

// bareRead reads the bytes and forgets them.
func bareRead(ctx context.Context, url string, pages int) (n int64, err error) {
	buf := make([]byte, 256<<10)
	for i := range pages {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s?page=%d", url, i), nil)
		if err != nil {
			return n, err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return n, err
		}
		for {
			k, err := resp.Body.Read(buf)
			n += int64(k)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return n, err
			}
		}
		if err := resp.Body.Close(); err != nil {
			return n, err
		}
	}
	return n, nil
}
