package rest

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"

	"cel.dev/cel-go/cel"

	"weir"
)

// jobRules make a source prepare its answer first: a request creates a job, another one asks how it stands, and when it
// is done the source's own request reads the result.
type jobRules struct {
	Create json.RawMessage   `json:"create"` // attributes of the request, in place of the spec's own
	ID     string            `json:"id"`     // path of the job's id in the answer
	As     string            `json:"as"`     // the ${placeholder} that takes the id; job by default
	Status json.RawMessage   `json:"status"` // attributes of the request that asks how it stands
	Done   string            `json:"done"`   // condition over its answer
	Failed string            `json:"failed"` // condition: the job will not be done
	Poll   float64           `json:"pollSeconds"`
	Max    float64           `json:"maxSeconds"`
	Keep   map[string]string `json:"keep"`   // further ${placeholders}: name to path in the last answer
	Link   string            `json:"link"`   // expression: the address of the result, which may be elsewhere
	Delete json.RawMessage   `json:"delete"` // attributes of a request once everything was read

	id                 path
	keep               []kept
	done, failed, link *expression
}

const (
	defaultPoll = 5 * time.Second
	defaultMax  = time.Hour
	jobBound    = 8 << 20 // bytes of an answer about a job
)

func (x *extension) compileJob() error {
	j := x.Job
	if j == nil {
		return nil
	}
	if len(j.Create) == 0 || j.ID == "" || len(j.Status) > 0 && j.Done == "" {
		return weir.Errorf("CONNECTOR-1312-400", "weir.job needs create and id, and done when it has status")
	}
	if j.Poll < 0 || j.Max < 0 {
		return weir.Errorf("CONNECTOR-1312-400", "weir.job: pollSeconds and maxSeconds must not be negative")
	}
	var err error
	if j.id, err = parsePath(j.ID); err != nil {
		return err
	}
	j.As = or(j.As, "job")
	if j.keep, err = parseKept(j.Keep); err != nil {
		return err
	}
	return compileAll([]exprAt{
		{"job.done", j.Done, onPage, cel.BoolType, &j.done},
		{"job.failed", j.Failed, onPage, cel.BoolType, &j.failed},
		{"job.link", j.Link, onPage, nil, &j.link},
	})
}

// jobAt is a job: part of a checkpoint, so that a run goes on with the same job and its result.
type jobAt struct {
	Values map[string]json.RawMessage `json:"values"`
	Link   string                     `json:"link,omitempty"`
	Open   bool                       `json:"open,omitempty"` // it was not seen done yet
}

// prepare runs the job of a walk: it creates it, unless at is one that a run goes on with, and waits until it is done.
// created, if set, hears of a new one.
func (t *tour) prepare(ctx context.Context, p *params, w *weir.Window, at *jobAt, created func(*jobAt) error) (*jobAt, error) {
	j := t.attributes.ext.Job
	var err error
	if at == nil {
		if at, err = t.create(ctx, p, w); err == nil && created != nil {
			err = created(at)
		}
		if err != nil {
			return nil, err
		}
	}
	if !at.Open {
		return at, nil
	}
	last, err := t.await(ctx, at.params(p), w)
	if err != nil {
		return nil, err
	}
	at = &jobAt{Values: map[string]json.RawMessage{j.As: at.Values[j.As]}}
	return at, at.done(j, last)
}

// create makes a job. One that nobody can ask about is done at once.
func (t *tour) create(ctx context.Context, p *params, w *weir.Window) (*jobAt, error) {
	j := t.attributes.ext.Job
	a, err := t.call(ctx, p, w, j.Create)
	if err != nil {
		return nil, err
	}
	id := pluck(a.values[""], j.id)
	if len(id) == 0 || string(id) == "null" {
		return nil, weir.Errorf("CONNECTOR-1308-400", "the answer that created the job has no id at %s", j.ID)
	}
	at := &jobAt{Values: map[string]json.RawMessage{j.As: slices.Clone(id)}, Open: len(j.Status) > 0}
	if at.Open {
		return at, nil
	}
	return at, at.done(j, a)
}

// done takes from the last answer about a job what its result needs.
func (at *jobAt) done(j *jobRules, last *answer) error {
	for _, k := range j.keep {
		if v := pluck(last.values[""], k.path); len(v) > 0 {
			at.Values[k.name] = slices.Clone(v)
		}
	}
	if j.link != nil {
		v, err := j.link.eval(last.wholeVars())
		if err != nil {
			return err
		}
		text, _ := v.(string)
		u, err := last.url.Parse(text)
		if text == "" || err != nil {
			return weir.Errorf("CONNECTOR-1308-400", "weir.job.link gave no address")
		}
		at.Link = u.String()
	}
	return nil
}

// await asks until the job is done.
func (t *tour) await(ctx context.Context, p *params, w *weir.Window) (*answer, error) {
	j := t.attributes.ext.Job
	poll, most := defaultPoll, defaultMax
	if j.Poll > 0 {
		poll = time.Duration(j.Poll * float64(time.Second))
	}
	if j.Max > 0 {
		most = time.Duration(j.Max * float64(time.Second))
	}
	for waited := time.Duration(0); ; waited += poll {
		a, err := t.call(ctx, p, w, j.Status)
		if err != nil {
			return nil, err
		}
		vars := a.wholeVars()
		if j.failed != nil {
			if failed, err := j.failed.truth(vars); err != nil || failed {
				if err == nil {
					err = weir.Errorf("CONNECTOR-1308-400", "the source says that the job failed%s", t.s.mask.text(said(a.values[""])))
				}
				return nil, err
			}
		}
		if done, err := j.done.truth(vars); err != nil || done {
			return a, err
		}
		if waited >= most {
			return nil, weir.Errorf("CONNECTOR-1308-400", "the job was not done within %s", most)
		}
		if err := t.s.opt.Sleep(ctx, poll); err != nil {
			return nil, err
		}
	}
}

// call makes one request about a job and reads its whole answer.
func (t *tour) call(ctx context.Context, p *params, w *weir.Window, over json.RawMessage) (*answer, error) {
	a, err := t.attributes.with(over, "job", "answer", "paging", "split", "onResponse", "fields")
	if err != nil {
		return nil, err
	}
	a.PaginationParams = nil
	pl, err := t.s.plan(ctx, p, w, a)
	if err != nil {
		return nil, err
	}
	var out *answer
	err = t.s.fetch(ctx, pl.req, func(resp *response) error {
		raw, err := whole(resp.body, jobBound)
		if err == nil && len(raw) > 0 {
			err = checkJSON(raw)
		}
		out = &answer{url: resp.Request.URL, status: resp.StatusCode, header: resp.Header, values: map[string]json.RawMessage{"": raw}, base: pl.vars, requests: 1}
		return err
	})
	return out, err
}

// wholeVars are the names of an answer that was read whole.
func (a *answer) wholeVars() map[string]any {
	raw := a.values[""]
	own := *a
	own.values = nil
	vars := own.vars()
	if v := toCEL(raw); v != nil {
		vars["page"] = v
	}
	return vars
}

// params puts the values of a finished job before the others.
func (at *jobAt) params(p *params) *params {
	return &params{layers: append([]map[string]json.RawMessage{maps.Clone(at.Values)}, p.layers...)}
}

// finish deletes a job whose result was read. That it cannot be deleted is worth a line in the log, not a failed run.
func (t *tour) finish(ctx context.Context, p *params, w *weir.Window) {
	j := t.attributes.ext.Job
	if len(j.Delete) == 0 {
		return
	}
	a, err := t.attributes.with(j.Delete, "job", "answer", "paging", "split", "onResponse")
	if err == nil {
		a.PaginationParams = nil
		if a.URLParams.Method == "" {
			a.URLParams.Method = http.MethodDelete
		}
		var pl *plan
		if pl, err = t.s.plan(ctx, p, w, a); err == nil {
			err = t.s.fetch(ctx, pl.req, func(*response) error { return nil })
		}
	}
	if err != nil {
		t.s.log.WarnContext(ctx, "the finished job could not be deleted", "error", err)
	}
}
