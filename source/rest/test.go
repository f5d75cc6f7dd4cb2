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

// Test checks the credentials (contract flow-service §5.6): it calls authorizationTestUrl with them, or makes the check
// of the spec's extension, or without both asks whether the host can be reached. Any failure is CONNECTOR-1308.
func (s *Source) Test(ctx context.Context) error {
	var err error
	a, aerr := s.attributes(s.params, "", s.b.Params)
	if aerr != nil { // a connection has no stream yet: the check names one
		if all, err := s.spec.source(s.b.Params); err == nil && all.ext.Check != nil && all.ext.Check.Stream != "" {
			a, aerr = all.stream(all.ext.Check.Stream)
		}
	}
	check := aerr == nil && a.ext.Check != nil
	if address, ok := s.params.text("authorizationTestUrl"); ok {
		_, err = s.read(ctx, address, 1<<20)
	} else if !check {
		err = s.reach(ctx)
	}
	if err == nil && check {
		if err = s.check(ctx, a); weir.CodeOf(err) == "CONNECTOR-1304-400" && len(s.b.Params) <= len("{}") {
			err = s.reach(ctx) // the request needs source parameters, and a connection has none
		}
	}
	var known *weir.Error
	if errors.As(err, &known) && known.Family() == "CONNECTOR" && known.Code != "CONNECTOR-1304-400" {
		known.Code = "CONNECTOR-1308-400"
	}
	return err
}

// Check makes the request of the extension's check; checked is false if there is none.
func (s *Source) Check(ctx context.Context) (checked bool, err error) {
	a, err := s.attributes(s.params, "", s.b.Params)
	if err != nil || a.ext.Check == nil {
		return false, nil //nolint:nilerr // what is wrong with the parameters shows when they are used
	}
	return true, s.check(ctx, a)
}

// check makes the request of the extension's check: for sources that answer a wrong credential with success.
func (s *Source) check(ctx context.Context, a *attributes) error {
	rules := a.ext.Check
	if rules.Path != "" && a.URLParams != nil {
		own, u := *a, *a.URLParams
		u.Path = rules.Path
		own.URLParams = &u
		a = &own
	}
	p := s.params
	if rules.Path == "" && len(a.ext.Partition) > 0 {
		_, in, err := s.firstOf(ctx, p, a)
		if err != nil {
			return err
		}
		p = in.params
	}
	pl, err := s.plan(ctx, p, nil, a)
	if err != nil {
		return err
	}
	if err := pagers[pl.def.paging.kind](&pl.def.paging).place(pl.req); err != nil {
		return err
	}
	if f := a.ext.Fields; f != nil && rules.Path == "" {
		shares, err := s.shares(ctx, p, a)
		if err != nil {
			return err
		}
		if err := f.ask(pl.req, shares[0]); err != nil {
			return err
		}
	}
	quick := *s
	quick.limits.Attempts = min(quick.limits.Attempts, 3)
	quick.limits.Wait = min(quick.limits.Wait, wait5)
	probe := []path{}
	if rules.when != nil {
		probe = rules.when.pages
	}
	return quick.fetch(ctx, pl.req, func(resp *response) error {
		cut := newCutter(&pl.def.content, nil, probe, s.opt.TempDir, func(_, _, _ []byte) error { return nil })
		cut.shape(pl.def)
		cut.ends = true
		cut.begin()
		d := decoder{rules: &pl.def.ext.Answer, content: pl.def.content.path, limits: &quick.limits, tempDir: s.opt.TempDir}
		if resp.StatusCode != http.StatusNoContent && !rules.statusOnly() {
			if err := d.each(resp.body, cut.run); err != nil {
				return err
			}
		}
		return rules.judge(answerOf(resp, cut, probe, pl.vars))
	})
}

// statusOnly tells a check that asks another address for nothing but its status: the body there need not look like the source's answers.
func (c *checkRules) statusOnly() bool { return c.Path != "" && c.Records == 0 && c.when == nil }

// judge compares an answer with what the check expects.
func (c *checkRules) judge(a *answer) error {
	if c.Status != 0 && a.status != c.Status {
		return weir.Errorf("CONNECTOR-1308-400", "the check expects status %d", c.Status)
	}
	if a.elements < c.Records {
		return weir.Errorf("CONNECTOR-1308-400", "the check expects at least %d records and got %d; the credentials may not be right", c.Records, a.elements)
	}
	if c.when == nil {
		return nil
	}
	ok, err := c.when.truth(a.vars())
	if err == nil && !ok {
		err = weir.Errorf("CONNECTOR-1308-400", "the answer does not meet the check %q; the credentials may not be right", c.When)
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
				if errors.Is(err, io.EOF) {
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
