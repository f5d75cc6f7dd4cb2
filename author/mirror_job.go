package author

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"weir/source/rest"
)

// resultPath is where the mirror has the results of jobs whose address is told.
const resultPath = "/weir-proof/result/"

// jobMirror answers the requests around a job. Nil is a source without jobs.
type jobMirror struct {
	create, status, drop *resource
	id                   []rest.Step
	keep                 [][]rest.Step
	done, failed, link   *rest.Expression
	texts                string // of the conditions
	made                 []*madeJob
}

// madeJob is a job that was created.
type madeJob struct {
	id         string
	start, end time.Time
	asked      int
}

func newJobMirror(job *node, def *rest.Definition, f *filler, open []string) (*jobMirror, error) {
	j := &jobMirror{}
	for name, to := range map[string]**resource{"create": &j.create, "status": &j.status, "delete": &j.drop} {
		raw := def.Job[name]
		if raw == nil {
			continue
		}
		var err error
		if *to, err = readResource(raw, f, append(open, or(job.str("as"), "job"))); err != nil {
			return nil, err
		}
	}
	if j.drop != nil && j.drop.method == "GET" {
		j.drop.method = http.MethodDelete
	}
	var err error
	if j.id, err = rest.ParsePath(job.str("id")); err != nil {
		return nil, err
	}
	keep := job.get("keep")
	for _, n := range keep.memberNames() {
		p, err := rest.ParsePath(keep.str(n))
		if err != nil {
			return nil, err
		}
		j.keep = append(j.keep, p)
	}
	for name, to := range map[string]**rest.Expression{"done": &j.done, "failed": &j.failed, "link": &j.link} {
		text := job.str(name)
		if text == "" {
			continue
		}
		if *to, err = rest.ParseExpression(text, false); err != nil {
			return nil, err
		}
		if name != "link" {
			j.texts += " " + text
		}
	}
	return j, nil
}

var jobName = regexp.MustCompile(`job-\d+`)

// find is the job that a request is about.
func (j *jobMirror) find(q *inquiry) *madeJob {
	if j == nil {
		return nil
	}
	id := jobName.FindString(q.r.URL.RequestURI() + string(q.raw))
	for _, m := range j.made {
		if m.id == id {
			return m
		}
	}
	return nil
}

// serve answers a request around a job; false for everything else.
func (j *jobMirror) serve(m *mirror, w http.ResponseWriter, q *inquiry, c *call) bool {
	if j == nil {
		return false
	}
	path := q.r.URL.EscapedPath()
	fits := func(r *resource) bool { return r != nil && r.method == q.r.Method && r.path.MatchString(path) }
	if !fits(j.create) && !fits(j.status) && !fits(j.drop) {
		return false
	}
	if !m.gate.allows(q) {
		m.deny(w, c)
		return true
	}
	var tree any
	switch {
	case fits(j.create):
		q.res = j.create
		made := &madeJob{id: "job-" + strconv.Itoa(len(j.made)+1)}
		made.start, made.end, _ = q.bounds()
		j.made = append(j.made, made)
		tree = setIn(nil, j.id, made.id)
	case fits(j.status):
		tree = j.state(q)
	}
	m.tell(w, c, mustJSON(tree))
	return true
}

// state tells how a job stands: not done when it is asked for first, if that can be said.
func (j *jobMirror) state(q *inquiry) any {
	job := j.find(q)
	if job == nil {
		return map[string]any{}
	}
	job.asked++
	tree := j.answer(job.asked > 1)
	if tree == nil {
		tree = j.answer(true)
	}
	out := any(tree)
	for i, p := range j.keep {
		out = setIn(out, p, fmt.Sprintf("kept-%d-%s", i, job.id))
	}
	if j.link != nil {
		for _, p := range j.link.Pages() {
			if st, err := rest.ParsePath(p); err == nil {
				out = setIn(out, st, q.origin+resultPath+job.id)
			}
		}
	}
	return out
}

// answer finds values for which a job is done, or not, and has not failed.
func (j *jobMirror) answer(done bool) map[string]any {
	paths := []string{}
	for _, x := range []*rest.Expression{j.done, j.failed} {
		if x == nil {
			continue
		}
		for _, p := range x.Pages() {
			if !strings.Contains(strings.Join(paths, "|")+"|", p+"|") {
				paths = append(paths, p)
			}
		}
	}
	found, err := search(paths, literals(j.texts), func(tree map[string]any) bool {
		vars := map[string]json.RawMessage{"page": mustJSON(tree), "status": json.RawMessage("200")}
		is := func(x *rest.Expression) bool {
			if x == nil {
				return false
			}
			raw, err := x.Eval(vars)
			return err == nil && string(raw) == "true"
		}
		return is(j.done) == done && !is(j.failed)
	})
	if err != nil || found == nil {
		return nil
	}
	tree := any(map[string]any{})
	for p, v := range found {
		if st, err := rest.ParsePath(p); err == nil {
			tree = setIn(tree, st, v)
		}
	}
	out, _ := tree.(map[string]any)
	return out
}

// fieldsMirror answers the request for the fields of the records. Nil is a source that is not asked.
type fieldsMirror struct {
	at     *resource
	fields []rest.Step
	name   []rest.Step
}

func newFieldsMirror(rules *node, raw json.RawMessage, f *filler, open []string) (*fieldsMirror, error) {
	out := &fieldsMirror{}
	var err error
	if out.at, err = readResource(raw, f, open); err != nil {
		return nil, err
	}
	if out.fields, err = rest.ParsePath(rules.str("fields")); err != nil {
		return nil, err
	}
	for n := len(out.fields); n > 0 && out.fields[n-1].Kind == "each"; n-- {
		out.fields = out.fields[:n-1]
	}
	out.name, err = rest.ParsePath(rules.str("name"))
	return out, err
}

// serve answers a request for the fields; false for everything else.
func (d *fieldsMirror) serve(m *mirror, w http.ResponseWriter, q *inquiry, c *call) bool {
	if d == nil || d.at.method != q.r.Method || !d.at.path.MatchString(q.r.URL.EscapedPath()) || m.levels[len(m.levels)-1].path.String() == d.at.path.String() {
		return false
	}
	if !m.gate.allows(q) {
		m.deny(w, c)
		return true
	}
	list := []any{}
	for _, name := range []string{serialName, "note"} {
		list = append(list, setIn(nil, d.name, name))
	}
	m.tell(w, c, mustJSON(setIn(nil, d.fields, list)))
	return true
}

// deny answers a request with wrong credentials.
func (m *mirror) deny(w http.ResponseWriter, c *call) {
	m.refused++
	c.status = http.StatusUnauthorized
	m.calls = append(m.calls, *c)
	refuse(w, http.StatusUnauthorized, "the credentials are not valid")
}

// tell answers with JSON.
func (m *mirror) tell(w http.ResponseWriter, c *call, answer []byte) {
	c.status, c.answer, c.answerType = http.StatusOK, answer, "application/json"
	m.calls = append(m.calls, *c)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(answer)
}
