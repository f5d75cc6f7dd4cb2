package rest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"weir"
)

// wait5 is the longest wait between attempts while somebody waits for the answer.
const wait5 = 5 * time.Second

// Test checks the credentials (contract flow-service §5.6): it calls authorizationTestUrl with them, or without one
// asks whether the host can be reached. Any failure is CONNECTOR-1308.
func (s *Source) Test(ctx context.Context) error {
	var err error
	if address, ok := s.params.text("authorizationTestUrl"); ok {
		_, err = s.read(ctx, address, 1<<20)
	} else {
		err = s.reach(ctx)
	}
	var known *weir.Error
	if errors.As(err, &known) && known.Family() == "CONNECTOR" && known.Code != "CONNECTOR-1304-400" {
		known.Code = "CONNECTOR-1308-400"
	}
	return err
}

// read fetches a fixed address with the credentials and returns the start of its body.
func (s *Source) read(ctx context.Context, address string, limit int64) ([]byte, error) {
	e := &expander{params: s.params}
	address = e.path(address)
	if err := e.err(); err != nil {
		return nil, err
	}
	if _, err := parseAddress(address); err != nil {
		return nil, weir.Errorf("CONNECTOR-1312-400", "authorizationTestUrl: %w", err)
	}
	r := &request{method: http.MethodGet}
	if err := r.setAddress(address, ""); err != nil {
		return nil, err
	}
	quick := *s
	quick.limits.Attempts = min(quick.limits.Attempts, 3)
	quick.limits.Wait = min(quick.limits.Wait, wait5)
	var raw []byte
	err := quick.fetch(ctx, r, func(resp *response) error {
		buf := make([]byte, 4096)
		raw = raw[:0]
		for int64(len(raw)) < limit {
			n, err := resp.body.Read(buf)
			raw = append(raw, buf[:n]...)
			if err != nil {
				if err == io.EOF {
					return nil
				}
				return err
			}
		}
		return nil
	})
	return raw, err
}

// reach asks the host for anything; every answer will do. A host that depends on source parameters cannot be asked.
func (s *Source) reach(ctx context.Context) error {
	a, err := s.spec.source(s.b.Params)
	if err != nil {
		a = &attributes{}
	}
	host := s.b.Host
	if host == "" && a.URLParams != nil {
		host = a.URLParams.Host + a.URLParams.Hostname
	}
	if host == "" {
		host, _ = s.params.text("host")
	}
	e := &expander{params: s.params}
	if host = e.host(host); host == "" || len(e.missing) > 0 {
		return nil
	}
	if e.bad != nil {
		return e.bad
	}
	r := &request{}
	if err := r.setAddress(host, ""); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.limits.Header)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base, nil)
	if err != nil {
		return err
	}
	resp, err := s.client.once.Do(req)
	if err != nil {
		return s.unanswered(ctx, s.mask.url(req.URL), err).err
	}
	return resp.Body.Close()
}
