package main

import (
	"bytes"
	"compress/gzip"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// films are facts compiled in the public repository prust/wikipedia-movie-data (MIT licence); see demodata/README.md.
//
//go:embed demodata/movies.ndjson.gz
var films []byte

// demoToken is the bearer token that the demo's source asks for.
const demoToken = "demo-access-token"

// filmSource is a small REST API of the kind partners have: bearer token, offset paging, an array inside an object.
type filmSource struct {
	URL   string
	films [][]byte
	srv   *http.Server
}

func newFilmSource(ctx context.Context, address string) (*filmSource, error) {
	zr, err := gzip.NewReader(bytes.NewReader(films))
	if err != nil {
		return nil, fmt.Errorf("bundled films: %w", err)
	}
	raw, err := io.ReadAll(zr)
	if err != nil {
		return nil, fmt.Errorf("bundled films: %w", err)
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	s := &filmSource{URL: "http://" + ln.Addr().String(), films: bytes.Split(bytes.TrimSpace(raw), []byte("\n"))}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/films", s.list)
	s.srv = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.srv.Serve(ln) }() // ends with Close
	return s, nil
}

// Close stops the source.
func (s *filmSource) Close() { _ = s.srv.Close() }

func (s *filmSource) list(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.Header.Get("Authorization") != "Bearer "+demoToken {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error":"a bearer token is needed"}`)
		return
	}
	number := func(name string, def int) int {
		n, err := strconv.Atoi(r.URL.Query().Get(name))
		if err != nil || n < 0 {
			return def
		}
		return n
	}
	from := min(number("offset", 0), len(s.films))
	to := min(from+min(number("limit", 100), 1000), len(s.films))
	items := make([]json.RawMessage, 0, to-from)
	for _, f := range s.films[from:to] {
		items = append(items, f)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"films": items, "total": len(s.films), "offset": from})
}
