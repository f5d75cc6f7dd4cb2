package author

import (
	"fmt"
	"slices"
	"strings"
)

// jobImport is what the requests around a job say of its answers.
type jobImport struct {
	id     string            // path of the id in the answer that created it
	keep   map[string]string // placeholders: paths in the last answer about it
	target bool              // a request has the address, or name, of the result
}

// reference is the placeholder for a member of an answer about a job.
func (j *jobImport) reference(root string, members []string) (string, bool) {
	if j == nil {
		return "", false
	}
	path := pathOf(members)
	switch {
	case root == "creation_response" && (j.id == "" || j.id == path):
		j.id = path
		return "${job}", true
	case root == "polling_response":
		if j.id == path {
			return "${job}", true
		}
		name := paramName(members[len(members)-1])
		if old, taken := j.keep[name]; taken && old != path {
			name = paramName(strings.Join(members, "_"))
		}
		j.keep[name] = path
		return "${" + name + "}", true
	case root == "download_target" && len(members) == 0:
		j.target = true
		return "${download_target}", true
	}
	return "", false
}

// async reads an AsyncRetriever as a job.
func (a *airbyte) async(v *node, r *request) bool {
	j := &jobImport{keep: map[string]string{}}
	a.cur.job = j
	create, poll := &request{query: &object{}, headers: &object{}}, &request{query: &object{}, headers: &object{}}
	if !a.jobRequest(v.get("creation_requester"), create, true) || !a.jobRequest(v.get("polling_requester"), poll, false) {
		return false
	}
	done, failed, ok := a.jobStatus(v)
	if !ok {
		return false
	}
	job := obj("create", jobAttributes(create), "as", "job", "status", jobAttributes(poll), "done", done, "failed", orNil(failed))
	if m := v.get("polling_job_timeout"); m != nil {
		if n := atoi(m.text()); n > 0 {
			job.set("maxSeconds", n*60)
		} else {
			a.l.add(m, "polling_job_timeout", "it is not a number")
		}
	}
	if !a.jobResult(v, r, create, job) {
		return false
	}
	if d := v.get("delete_requester"); d != nil {
		drop := &request{query: &object{}, headers: &object{}}
		if a.jobRequest(d, drop, false) {
			job.set("delete", jobAttributes(drop))
		}
	}
	for _, m := range []string{"abort_requester", "download_target_requester"} {
		if q := v.get(m); q != nil {
			a.l.drop(q, m, "this request is not made")
		}
	}
	if job.set("id", or(j.id, "$.id")); j.id == "" {
		a.l.add(v, "creation_response", "no request has the id of the job; $.id is taken")
	}
	if len(j.keep) > 0 {
		keep := &object{}
		for _, n := range sortedKeys(j.keep) {
			keep.set(n, j.keep[n])
		}
		job.set("keep", keep)
	}
	r.ext(job.ordered("create", "id", "as", "status", "done", "failed", "maxSeconds", "keep", "link", "delete"), "job")
	return true
}

func sortedKeys(m map[string]string) []string {
	var out []string
	for n := range m {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// jobAttributes are those of a request around a job.
func jobAttributes(r *request) *object {
	return parentAttributes(r).without("paginationParams", "contentPath", "scheduleParams")
}

// jobRequest reads one of the requests around a job. The bounds of the window go into the one that creates it.
func (a *airbyte) jobRequest(q *node, r *request, creates bool) bool {
	outer := a.cur.r
	a.cur.r = r
	defer func() { a.cur.r = outer }()
	if !a.requester(q, r) {
		return false
	}
	if c := a.cur.cursor; creates && c != nil {
		for i, at := range []*object{c.start, c.end} {
			if at == nil {
				continue
			}
			e := &expr{op: "member", text: a.cur.env.names[i], args: []*expr{{op: "name", text: "stream_interval"}}}
			text, err := a.computed(c.n, []string{"window_start", "window_end"}[i], e)
			if err != nil {
				continue
			}
			switch {
			case at.str("query") != "":
				r.query.set(at.str("query"), text)
			case at.str("header") != "":
				r.headers.set(at.str("header"), text)
			default:
				a.cur.sends = append(a.cur.sends, sent{at.str("body"), text, false})
			}
		}
		c.start, c.end = nil, nil
	}
	if creates {
		a.sendBody(r)
		a.cur.sends = nil
	}
	return true
}

// jobStatus writes the conditions over the answer that tells how a job stands.
func (a *airbyte) jobStatus(v *node) (done, failed string, ok bool) {
	status, mapping := v.get("status_extractor"), v.get("status_mapping")
	if a.kind(status) == "Custom" {
		return "", "", false
	}
	a.kind(mapping)
	names := []string{}
	for _, f := range status.get("field_path").list() {
		names = append(names, a.template(f, "field_path"))
	}
	env := &celEnv{roots: pageRoots, param: a.celParam}
	place, guard, err := env.place("response", names)
	if err != nil {
		a.l.add(status, "status_extractor", "%s", err)
		return "", "", false
	}
	list := func(kinds ...string) string {
		var all []string
		for _, k := range kinds {
			for _, t := range mapping.get(k).list() {
				all = append(all, celText(t.text()))
			}
		}
		return strings.Join(all, ", ")
	}
	mapping.get("running").list()
	if failed = list("failed", "timeout"); failed != "" {
		failed = fmt.Sprintf("%s && %s in [%s]", guard, place, failed)
	}
	return fmt.Sprintf("%s && %s in [%s]", guard, place, list("completed", "skipped", "ignore")), failed, true
}

// jobResult reads the request for the result.
func (a *airbyte) jobResult(v *node, r, create *request, job *object) bool {
	q, x := v.get("download_requester"), v.get("download_target_extractor")
	whole := strings.Trim(q.str("url")+q.str("url_base")+q.str("path"), "/ ")
	if root, members, ok := simplePath(whole); ok && root == "download_target" && len(members) == 0 {
		r.host, r.path, r.method = create.host, "/", "GET"
		a.kind(q)
		a.address(q, &request{query: &object{}})
		a.parameters(a.field(q, "request_headers"), r.headers, "header")
		a.authenticator(q.get("authenticator"))
		a.errors(q.get("error_handler"), r)
		a.field(q, "http_method").text()
		a.cur.job.target = true
		if a.kind(x) == "Custom" || x == nil {
			return false
		}
		env := &celEnv{roots: pageRoots}
		var names []string
		for _, f := range x.get("field_path").list() {
			text := a.template(f, "field_path")
			if text == "*" {
				a.l.add(f, "download_target_extractor", "of several files the first one is read")
				text = "\x000"
			}
			names = append(names, text)
		}
		place, _, err := env.place("response", names)
		if err != nil {
			a.l.add(x, "download_target_extractor", "%s", err)
			return false
		}
		job.set("link", place)
	} else {
		if !a.requester(q, r) {
			return false
		}
		if a.cur.job.target {
			a.kind(x)
			a.cur.job.keep["download_target"] = pathIn(texts(x.get("field_path")))
		} else if x != nil {
			a.l.drop(x, "download_target_extractor", "no request has the address it finds")
		}
	}
	if d := v.get("download_extractor"); d != nil {
		a.extractor(d, r)
		if d.str("type") == "ResponseToFileExtractor" && v.get("download_decoder") == nil {
			r.ext([]string{"csv"}, "answer", "decode")
		}
	}
	a.kind(v.get("decoder"))
	a.decoder(or2(v.get("download_decoder"), v.get("decoder")), r)
	a.paginator(v.get("download_paginator"), r)
	return true
}
