package rest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Ledger keeps rate budgets that several processes share. The store is one.
type Ledger interface {
	// Spend takes up to want calls out of a budget of requests calls in every (0 requests: no limit but holds). If it
	// gives none, wait is how long until it is worth asking again.
	Spend(ctx context.Context, name string, requests int, every time.Duration, want int) (got int, wait time.Duration, err error)
	// Hold lets nobody spend of the budget for d.
	Hold(ctx context.Context, name string, d time.Duration) error
}

const (
	leaseLife = time.Second    // how long calls taken out of the ledger may wait to be made
	leaseMost = 50             // calls taken at once
	holdMost  = 24 * time.Hour // longest wait that an answer may ask of everybody
	restLimit = time.Minute    // of a token that has no calls left and does not say for how long
	restToken = 10 * time.Minute
)

// budgets are the rate budgets of a client, by host and credentials.
type budgets struct {
	mu   sync.Mutex
	held map[string]*budget
}

// budget is a rate as this process sees it. With a ledger it holds the calls taken out of it and not made yet.
type budget struct {
	mu      sync.Mutex
	limiter *rate.Limiter // without a ledger
	until   time.Time     // nothing is sent before

	ledger   Ledger
	name     string // in the ledger
	requests int
	every    time.Duration
	left     int
	expires  time.Time // of the calls left
	batch    int
}

func (b *budgets) get(key string, fresh func() *budget) *budget {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held == nil || len(b.held) >= tokenCacheSize {
		b.held = map[string]*budget{}
	}
	held := b.held[key]
	if held == nil {
		held = fresh()
		b.held[key] = held
	}
	return held
}

// budget is the budget of the rules for a request; token counts from 1, 0 is all of them.
func (s *Source) budget(rules *budgetRules, home string, token int) *budget {
	who := s.b.ConnectionID
	if rules.Per == "host" {
		who = "*"
	}
	shared := fmt.Sprintf("%s %s %d %d %g", home, who, token, rules.Requests, rules.Seconds)
	key := shared
	if rules.Per != "host" {
		key += "\x00" + string(s.b.Auth)
	}
	return s.client.budgets.get(key, func() *budget {
		out := &budget{limiter: rate.NewLimiter(rate.Inf, 0), requests: rules.Requests, every: time.Duration(rules.Seconds * float64(time.Second)), batch: 1}
		if rules.Requests > 0 {
			out.limiter = rate.NewLimiter(rate.Every(out.every/time.Duration(rules.Requests)), rules.Requests)
		}
		if s.opt.Ledger != nil && who != "" { // credentials that are not stored are this process's alone
			sum := sha256.Sum256([]byte(shared))
			out.ledger, out.name = s.opt.Ledger, hex.EncodeToString(sum[:])
		}
		return out
	})
}

// spend waits until the budget of a request allows it. Where each of several tokens has its own, it takes the next one
// that has calls left.
func (s *Source) spend(ctx context.Context, r *request) (*budget, error) {
	if r.rules == nil || r.rules.Budget == nil {
		return nil, nil //nolint:nilnil // no budget
	}
	rules, home := r.rules.Budget, r.home()
	all := []*budget{}
	if a, is := s.auth.(*staticAuth); is && rules.Per == "token" && a.tokens() > 1 {
		for i := range a.tokens() {
			all = append(all, s.budget(rules, home, i+1))
		}
	} else {
		all = append(all, s.budget(rules, home, 0))
	}
	for {
		best, wait, err := cheapest(ctx, all, s.opt.Now())
		if err != nil {
			return nil, err
		}
		if len(all) > 1 {
			r.token = best + 1
		}
		b := all[best]
		if b.ledger == nil {
			wait = b.reserve(s.opt.Now())
		}
		if wait > 0 {
			if err := s.opt.Sleep(ctx, wait); err != nil {
				return nil, err
			}
		}
		if wait <= 0 || b.ledger == nil { // what was reserved is ours after the wait
			return b, nil
		}
	}
}

// cheapest is the first budget with a call to make, which is taken out of it if it has a ledger; else the one with the
// shortest wait.
func cheapest(ctx context.Context, all []*budget, now time.Time) (best int, wait time.Duration, err error) {
	wait = math.MaxInt64
	for i, b := range all {
		var d time.Duration
		if b.ledger == nil {
			d = b.peek(now)
		} else if d, err = b.draw(ctx, now); err != nil {
			return 0, 0, err
		}
		if d < wait {
			best, wait = i, d
		}
		if d <= 0 {
			return i, 0, nil
		}
	}
	return best, wait, nil
}

// peek is how long a call would have to wait.
func (b *budget) peek(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.limiter.ReserveN(now, 1)
	d := r.DelayFrom(now)
	r.CancelAt(now)
	return max(d, b.until.Sub(now))
}

// reserve takes a call, which may be made after the wait.
func (b *budget) reserve(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(b.limiter.ReserveN(now, 1).DelayFrom(now), b.until.Sub(now))
}

// draw takes one call out of those at hand, or a handful out of the ledger; if there is none, it says how long to wait.
// A handful that was used up in its time is followed by a larger one, so that the ledger is written once for many calls.
func (b *budget) draw(ctx context.Context, now time.Time) (time.Duration, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if d := b.until.Sub(now); d > 0 {
		return d, nil
	}
	if b.left > 0 && now.Before(b.expires) {
		b.left--
		return 0, nil
	}
	if b.left == 0 && now.Before(b.expires) {
		b.batch *= 2
	} else {
		b.batch = 1
	}
	b.batch = max(min(b.batch, b.requests/10, leaseMost), 1)
	if b.requests == 0 {
		b.batch = leaseMost
	}
	got, wait, err := b.ledger.Spend(ctx, b.name, b.requests, b.every, b.batch)
	if err != nil || got == 0 {
		b.left = 0
		return wait, err
	}
	b.left, b.expires = got-1, now.Add(leaseLife)
	return 0, nil
}

// hold lets nobody spend for d, in any process.
func (b *budget) hold(ctx context.Context, d time.Duration, now time.Time) error {
	d = min(d, holdMost)
	b.mu.Lock()
	if until := now.Add(d); until.After(b.until) {
		b.until = until
	}
	b.left = 0
	b.mu.Unlock()
	if b.ledger == nil {
		return nil
	}
	return b.ledger.Hold(ctx, b.name, d)
}

// learn reads what the answer says about the budget: headers that say that no calls are left, and a refusal that says
// when to come again.
func (b *budget) learn(ctx context.Context, s *Source, rules *budgetRules, resp *http.Response) error {
	if b == nil {
		return nil
	}
	now := s.opt.Now()
	if resp.StatusCode == http.StatusTooManyRequests {
		if d := retryAfter(resp.Header, now); d > 0 && d <= s.limits.Wait {
			return b.hold(ctx, d, now)
		}
	}
	if rules.Remaining == "" || rules.Reset == "" {
		return nil
	}
	left, err := strconv.ParseFloat(strings.TrimSpace(resp.Header.Get(rules.Remaining)), 64)
	if err != nil || left >= 1 {
		return nil //nolint:nilerr // an answer without the header says nothing
	}
	if d, ok := readWait(resp.Header.Get(rules.Reset), rules.Form, now); ok && d > 0 {
		return b.hold(ctx, d, now)
	}
	return nil
}

// another puts a refused token to rest and reports whether another one can be tried at once.
func (s *Source) another(ctx context.Context, r *request, f *fault, resp *http.Response) bool {
	if r.token == 0 || resp == nil {
		return false
	}
	limit := resp.StatusCode == http.StatusTooManyRequests
	if !limit && !f.refresh && resp.StatusCode != http.StatusUnauthorized {
		return false
	}
	rules, now := r.rules.Budget, s.opt.Now()
	b := s.budget(rules, r.home(), r.token)
	if d := restToken; !limit || !b.resting(now) { // learn has heard it otherwise
		if limit {
			d = restLimit
		}
		if err := b.hold(ctx, d, now); err != nil {
			return false
		}
	}
	a, _ := s.auth.(*staticAuth)
	for i := range a.tokens() {
		if !s.budget(rules, r.home(), i+1).resting(now) {
			return true
		}
	}
	return false
}

func (b *budget) resting(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return now.Before(b.until)
}
