package rest

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"code.dny.dev/ssrf"
	"github.com/klauspost/compress/gzip"

	"weir"
)

// Client sends requests for any number of sources: it holds the connections, the guard against private addresses and
// the shared short-lived tokens. Make one per process; it is safe for concurrent use.
type Client struct {
	http    *http.Client // follows redirects without credentials
	once    *http.Client // follows none
	tokens  tokenCache
	budgets budgets
	windows bufferPool
	buffers bufferPool
}

// NewClient makes a client that reaches public addresses and those in allow. The check is made on the resolved address
// of every connection, so names that point inside and redirects do not get around it. No proxy is used.
func NewClient(allow []netip.Prefix) *Client {
	var v4, v6 []netip.Prefix
	for _, p := range allow {
		if p.Addr().Unmap().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	guard := ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
	dialer := &net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second, Control: guard.Safe}
	transport := &http.Transport{
		DialContext:            dialer.DialContext,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    8,
		MaxIdleConns:           256,
		IdleConnTimeout:        60 * time.Second,
		TLSHandshakeTimeout:    15 * time.Second,
		ExpectContinueTimeout:  time.Second,
		DisableCompression:     true, // content decoding is ours, with bounds
		ReadBufferSize:         64 << 10,
		MaxResponseHeaderBytes: 1 << 20,
	}
	return &Client{
		http: &http.Client{Transport: transport, CheckRedirect: redirect},
		once: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
}

// redirect follows up to ten redirects. Once one leads to another origin, no credentials travel: only harmless headers, no body.
func redirect(r *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return errors.New("more than 10 redirects")
	}
	r.Header.Del("Referer") // it would carry the query
	start := origin(via[0].URL)
	away := origin(r.URL) != start
	for _, v := range via {
		away = away || origin(v.URL) != start
	}
	if !away {
		return nil
	}
	if r.Body != nil && r.Body != http.NoBody {
		return errors.New("a redirect to another host would take the request body along")
	}
	for name := range r.Header {
		if !plainHeaders[name] {
			r.Header.Del(name)
		}
	}
	return nil
}

// Limits bound the work on one page. Zero fields take the defaults in brackets.
type Limits struct {
	Attempts int           // sends of one request before it fails [8]
	Backoff  time.Duration // first wait between attempts, doubled each time up to 30 s, with jitter [500 ms]
	Wait     time.Duration // longest single wait a Retry-After may ask for [15 min]
	Header   time.Duration // time until the answer's headers [60 s]
	Idle     time.Duration // time in which at least MinRead bytes of the body must arrive [60 s]
	MinRead  int64         // see Idle [1 KiB]
	Page     int64         // bytes of one decoded answer [32 GiB]
	Ratio    int64         // decoded to sent bytes beyond which compressed content is refused, after 64 MiB [300]
}

func (l Limits) filled() Limits {
	or := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	num := func(v *int64, d int64) {
		if *v <= 0 {
			*v = d
		}
	}
	if l.Attempts <= 0 {
		l.Attempts = 8
	}
	or(&l.Backoff, 500*time.Millisecond)
	or(&l.Wait, 15*time.Minute)
	or(&l.Header, time.Minute)
	or(&l.Idle, time.Minute)
	num(&l.MinRead, 1<<10)
	num(&l.Page, 32<<30)
	num(&l.Ratio, 300)
	return l
}

var (
	errHang  = errors.New("the source stopped sending")
	errSlow  = errors.New("the source did not answer in time")
	errLarge = errors.New("the answer is larger than allowed")
	errBomb  = errors.New("the compressed answer unfolds to far more than it should")
)

// response is an answer with a body that is decoded, counted and watched.
type response struct {
	*http.Response
	body *watched
}

// fetch sends one request until it is answered with success and use has read the body without a passing fault. use is
// called again from the start after such a fault. It returns the last answer's *weir.Error otherwise.
func (s *Source) fetch(ctx context.Context, r *request, use func(*response) error) error {
	renewed := false
	for attempt := 1; ; attempt++ {
		req, resp, f, err := s.attempt(ctx, r, use) //nolint:bodyclose // attempt has closed it
		switch {
		case err != nil:
			return err
		case f == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case f.raw != nil:
			return f.raw
		}
		if s.another(ctx, r, f, resp) {
			attempt--
			continue
		}
		if (f.refresh || resp != nil && resp.StatusCode == http.StatusUnauthorized) && !renewed && r.token == 0 {
			renewed = true
			again, err := s.auth.renew(ctx, req)
			if err != nil {
				return err
			}
			if again {
				attempt--
				continue
			}
		}
		if !f.passing || attempt >= r.attempts(&s.limits) {
			return f.err
		}
		if err := s.waitFor(ctx, r, f, attempt); err != nil {
			return err
		}
	}
}

// attempt sends the request once, within its budget.
func (s *Source) attempt(ctx context.Context, r *request, use func(*response) error) (*http.Request, *http.Response, *fault, error) {
	purse, err := s.spend(ctx, r)
	if err != nil {
		return nil, nil, nil, err
	}
	req, err := r.build(ctx, s.auth)
	if err != nil {
		return nil, nil, nil, err
	}
	if s.opt.Trace != nil {
		s.opt.Trace(req)
	}
	resp, f := s.try(req, r, use)
	if resp != nil && r.rules != nil && r.rules.Budget != nil {
		if err := purse.learn(ctx, s, r.rules.Budget, resp); err != nil {
			return nil, nil, nil, err
		}
	}
	return req, resp, f, nil
}

// waitFor waits before the next attempt, unless the source asks for more patience than allowed.
func (s *Source) waitFor(ctx context.Context, r *request, f *fault, attempt int) error {
	wait := s.pause(r, f, attempt)
	if wait > s.limits.Wait {
		return weir.Errorf("CONNECTOR-1308-400", "%s; the source asks to wait %s, longer than the %s allowed", f.err.Message, wait.Round(time.Second), s.limits.Wait)
	}
	s.log.WarnContext(ctx, "source request will be retried", "attempt", attempt, "wait", wait, "error", f.err.Message)
	return s.opt.Sleep(ctx, wait)
}

// backoff doubles per attempt up to 30 s; half of it is random.
func (s *Source) backoff(attempt int) time.Duration {
	d := min(s.limits.Backoff<<min(attempt-1, 16), 30*time.Second)
	return d/2 + rand.N(d/2+1)
}

// fault is a failed attempt.
type fault struct {
	err     *weir.Error
	raw     error         // returned as it is: not the source's doing
	passing bool          // another try may succeed
	refresh bool          // with new credentials
	after   time.Duration // Retry-After, 0 for none
	header  http.Header   // of the answer, nil without one
}

// try sends req once. The answer is nil if there was none; its body is closed.
func (s *Source) try(req *http.Request, r *request, use func(*response) error) (*http.Response, *fault) {
	at := s.mask.url(req.URL)
	ctx, cancel := context.WithCancelCause(req.Context())
	defer cancel(nil)
	watch := time.AfterFunc(s.limits.Header, func() { cancel(errSlow) })
	defer watch.Stop()
	resp, err := s.client.http.Do(req.WithContext(ctx))
	if err != nil {
		return nil, s.unanswered(ctx, at, err)
	}
	defer resp.Body.Close()
	watch.Stop()
	w := &watched{raw: resp.Body, limits: &s.limits, left: s.limits.Idle}
	w.watch = time.AfterFunc(s.limits.Idle, func() { cancel(errHang) })
	defer w.watch.Stop()
	w.watch.Stop()
	if resp.StatusCode/100 != 2 && (resp.StatusCode != http.StatusNotModified || !r.conditional) {
		body, _ := io.ReadAll(io.LimitReader(decoded(w, resp.Header), refusalBound)) // what came of it is enough
		f, ruled := s.refusal(resp, at, body, r)
		if !ruled {
			f = s.refused(resp, at, body)
		}
		f.header = resp.Header
		return resp, f
	}
	w.open(resp.Header)
	err = use(&response{resp, w})
	if err == nil || errors.Is(err, errStop) {
		return resp, nil
	}
	if errors.Is(err, errDone) || errors.Is(err, errSplit) || errors.Is(err, errIgnored) || isReset(err) {
		return resp, &fault{raw: err}
	}
	f := s.spoiled(ctx, resp, at, err)
	f.header = resp.Header
	return resp, f
}

// refusalBound is how much of a refusal's body is read.
const refusalBound = 64 << 10

// prohibited reports whether the guard stopped a connection.
func prohibited(err error) bool {
	return errors.Is(err, ssrf.ErrProhibitedIP) || errors.Is(err, ssrf.ErrProhibitedNetwork) || errors.Is(err, ssrf.ErrProhibitedPort)
}

// unanswered judges a request without an answer.
func (s *Source) unanswered(ctx context.Context, at string, err error) *fault {
	switch {
	case errors.Is(context.Cause(ctx), errSlow):
		return &fault{err: weir.Errorf("CONNECTOR-1012-504", "%s: no answer within %s", at, s.limits.Header), passing: true}
	case prohibited(err):
		return &fault{err: weir.Errorf("CONNECTOR-1308-400", "%s leads to a private address, which is not allowed; an administrator can allow its network", at)}
	}
	f := &fault{err: weir.Errorf("CONNECTOR-1308-400", "%s cannot be reached: %s", at, s.mask.text(cause(err))), passing: true}
	f.err.Err = err
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &dns) && dns.IsNotFound || errors.As(err, &cert) || errors.As(err, &unknown) || strings.Contains(cause(err), "redirect") {
		f.passing = false
	}
	return f
}

// refused judges an answer that is not a success.
func (s *Source) refused(resp *http.Response, at string, body []byte) *fault {
	f := &fault{err: weir.Errorf("CONNECTOR-1308-400", "%s answered %s%s", at, resp.Status, s.mask.text(said(body)))}
	switch c := resp.StatusCode; {
	case c == http.StatusTooManyRequests, c == http.StatusRequestTimeout, c == http.StatusTooEarly,
		c >= 500 && c != http.StatusNotImplemented && c != http.StatusHTTPVersionNotSupported:
		f.passing = true
		f.after = retryAfter(resp.Header, s.opt.Now())
	}
	return f
}

// spoiled judges a success whose body could not be used.
func (s *Source) spoiled(ctx context.Context, resp *http.Response, at string, err error) *fault {
	if why := context.Cause(ctx); errors.Is(why, errHang) {
		return &fault{err: weir.Errorf("CONNECTOR-1012-504", "%s answered %s but sent less than %d bytes within %s", at, resp.Status, s.limits.MinRead, s.limits.Idle), passing: true}
	}
	say := func(passing bool, format string, args ...any) *fault {
		return &fault{err: weir.Errorf("CONNECTOR-1308-400", "%s answered %s, but "+format, append([]any{at, resp.Status}, args...)...), passing: passing}
	}
	var known *weir.Error
	var syntax *syntaxError
	var ruled *ruleFault
	var broken *damaged
	switch {
	case errors.As(err, &ruled):
		f := say(ruled.do == "retry", "%s", ruled.message)
		f.refresh, f.after = ruled.do == "refresh", retryAfter(resp.Header, s.opt.Now())
		return f
	case errors.As(err, &broken):
		return say(true, "%s", broken)
	case errors.As(err, &known):
		known.Message = at + ": " + known.Message
		return &fault{err: known}
	case errors.Is(err, errMarkup):
		return say(false, "with HTML or XML instead of JSON (Content-Type %q)", resp.Header.Get("Content-Type"))
	case errors.Is(err, errTruncated):
		return say(true, "the JSON is cut off")
	case errors.As(err, &syntax):
		return say(false, "the body is not valid JSON: %s", syntax)
	case errors.Is(err, errLarge):
		return say(false, "the body is larger than the %d bytes allowed", s.limits.Page)
	case errors.Is(err, errBomb):
		return say(false, "the compressed body unfolds to more than %d times its size", s.limits.Ratio)
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum):
		return say(true, "the gzip content is damaged")
	case errors.Is(err, io.ErrUnexpectedEOF), isNetwork(err):
		return say(true, "the body broke off: %s", s.mask.text(cause(err)))
	}
	f := say(false, "reading it failed: %s", s.mask.text(err.Error()))
	f.err.Err = err
	return f
}

func isNetwork(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) || errors.Is(err, net.ErrClosed) || errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "http2:") ||
		strings.Contains(err.Error(), "stream error") || strings.Contains(err.Error(), "malformed chunked")
}

// said quotes the message of an error body: a well-known member of a JSON object, else the start of the text.
func said(body []byte) string {
	var text string
	var o map[string]json.RawMessage
	if json.Unmarshal(body, &o) == nil {
		for _, name := range []string{"error_description", "message", "detail", "errorMessage", "error", "title", "errors"} {
			raw := o[name]
			if inner := pluck(raw, path{{name: "message"}}); inner != nil {
				raw = inner
			}
			if len(raw) > 0 && string(raw) != "null" {
				text = paramText(raw)
				break
			}
		}
	}
	if text == "" {
		text = strings.ToValidUTF8(string(body), "�")
	}
	text = strings.Join(strings.Fields(text), " ")
	if text == "" {
		return ""
	}
	return ": " + shorten(text, 300)
}

// retryAfter reads Retry-After in both forms; 0 for none. A date is taken relative to the answer's own clock.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if text == "" {
		return 0
	}
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		if n <= 0 || n > 1e9 {
			return 0
		}
		return time.Duration(n * float64(time.Second))
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return max(at.Sub(now), 0)
}

// watched is a body that must keep coming, within its bounds. Reading counts the bytes as sent; open adds decoding.
type watched struct {
	raw    io.Reader
	in     io.Reader // decoded; nil until open
	limits *Limits
	watch  *time.Timer
	left   time.Duration // time that reading may still take until MinRead bytes are there
	fresh  int64         // bytes since left was last filled
	sent   int64
	out    int64
}

// sentReader counts what arrives from the network. Only time spent waiting for the source counts, not what the reader
// of the pages takes.
type sentReader struct{ w *watched }

// Read reads from the network.
func (r sentReader) Read(p []byte) (int, error) {
	w := r.w
	w.watch.Reset(w.left)
	start := time.Now()
	n, err := w.raw.Read(p)
	w.watch.Stop()
	w.left -= time.Since(start)
	w.sent += int64(n)
	if w.fresh += int64(n); w.fresh >= w.limits.MinRead {
		w.fresh, w.left = 0, w.limits.Idle
	}
	return n, err
}

func (w *watched) open(h http.Header) { w.in = decoded(w, h) }

// decoded undoes gzip, which is asked for, and deflate.
func decoded(w *watched, h http.Header) io.Reader {
	in := io.Reader(sentReader{w})
	switch coding := strings.ToLower(strings.TrimSpace(h.Get("Content-Encoding"))); coding {
	case "", "identity":
		return in
	case "gzip", "x-gzip":
		return &gunzip{in: in}
	case "deflate":
		return &inflate{in: bufio.NewReader(in)}
	default:
		return failing{weir.Errorf("CONNECTOR-1308-400", "the Content-Encoding %q was not asked for and is not known", coding)}
	}
}

// failing is a body that cannot be read.
type failing struct{ err error }

// Read fails.
func (f failing) Read([]byte) (int, error) { return 0, f.err }

// gunzip opens its stream at the first read, so that a fault surfaces there.
type gunzip struct {
	in io.Reader
	z  *gzip.Reader
}

// Read unpacks.
func (g *gunzip) Read(p []byte) (int, error) {
	if g.z == nil {
		z, err := gzip.NewReader(g.in)
		if err != nil {
			if errors.Is(err, io.EOF) {
				return 0, io.EOF
			}
			return 0, fmt.Errorf("gzip content: %w", err)
		}
		g.z = z
	}
	return g.z.Read(p)
}

// Read reads the decoded body within its bounds.
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.in.Read(p)
	w.out += int64(n)
	if w.out > w.limits.Page {
		return n, errLarge
	}
	if w.out > ratioFrom && w.out > w.sent*w.limits.Ratio {
		return n, errBomb
	}
	return n, err
}

// wait sleeps, or returns early with the context's error.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// parseAddress reads an absolute http or https URL.
func parseAddress(text string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%q is not an http or https address", shorten(text, 200))
	}
	return u, nil
}
