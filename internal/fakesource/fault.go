package fakesource

import (
	"bytes"
	"compress/gzip"
	"maps"
	"net/http"
	"strconv"
	"strings"
)

// fail answers one request badly.
func (srv *Server) fail(w http.ResponseWriter, r *http.Request, f *Fault, body []byte) {
	if f.RetryAfter != "" {
		w.Header().Set("Retry-After", f.RetryAfter)
	}
	switch f.Kind {
	case "status":
		text := or(f.Body, `{"message":"injected `+strconv.Itoa(f.Status)+`"}`)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(f.Status)
		_, _ = w.Write([]byte(text))
	case "drop":
		abort()
	case "hang":
		srv.pause(r)
		abort()
	case "html":
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<!DOCTYPE html><html><body>Please sign in</body></html>"))
	case "empty":
		w.WriteHeader(http.StatusOK)
	case "redirect":
		http.Redirect(w, r, f.To, or(f.Status, http.StatusFound))
	case "bomb":
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		blank := []byte(strings.Repeat(" ", 1<<20))
		for range 96 {
			_, _ = z.Write(blank)
		}
		_ = z.Close()
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(b.Bytes())
	default:
		srv.spoil(w, r, f, body)
	}
}

// spoil answers with a page that is damaged.
func (srv *Server) spoil(w http.ResponseWriter, r *http.Request, f *Fault, body []byte) {
	answers := srv.answers
	h, out, status := srv.answer(r, body)
	srv.answers = answers // the page was not given
	maps.Copy(w.Header(), h)
	half := out[:len(out)/2]
	switch f.Kind {
	case "cut":
		w.Header().Set("Content-Length", strconv.Itoa(len(out)))
		w.WriteHeader(status)
		_, _ = w.Write(half)
		_ = http.NewResponseController(w).Flush()
		abort()
	case "stall":
		w.Header().Set("Content-Length", strconv.Itoa(len(out)))
		w.WriteHeader(status)
		_, _ = w.Write(half)
		_ = http.NewResponseController(w).Flush()
		srv.pause(r)
		abort()
	case "length":
		w.Header().Set("Content-Length", strconv.Itoa(len(out)+1000))
		w.WriteHeader(status)
		_, _ = w.Write(out)
		_ = http.NewResponseController(w).Flush()
		abort()
	case "close":
		w.Header().Set("Connection", "close")
		w.WriteHeader(status)
		_, _ = w.Write(half)
	case "latin1":
		_, _ = w.Write(bytes.Replace(out, []byte(`record`), []byte("r\xe9cord"), 1))
	case "json":
		_, _ = w.Write(append(out, "}}}"...))
	}
}

// pause lets other requests in and waits until the client has gone.
func (srv *Server) pause(r *http.Request) {
	srv.mu.Unlock()
	<-r.Context().Done()
	srv.mu.Lock()
}

// abort closes the connection without finishing the answer.
func abort() { panic(http.ErrAbortHandler) }
