package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestCouchServer reads a server of the CouchDB protocol. All documents come by the key of the last record; then the change feed is read,
// documents are changed, added and deleted, and the next run brings just that.
func TestCouchServer(t *testing.T) {
	t.Parallel()
	const n = 2500
	up := nodeServer(t, "couch.mjs", filepath.Join(t.TempDir(), "couch.log"))
	couch := &couch{t: t, url: up.URL[0]}
	ask(t, "PUT", couch.url+"/_config/admins/weir", nil, couchPassword)
	couch.login = map[string]string{"Authorization": "Basic " + base64Text([]byte("weir:"+couchPassword))}
	ask(t, "PUT", couch.url+"/things", couch.login, nil)
	members := object{"names": []string{"weir"}}
	ask(t, "PUT", couch.url+"/things/_security", couch.login, object{"members": members, "admins": members})
	things := newThings(n)
	docs := make([]object, n)
	for i := range things {
		docs[i] = object{"_id": things[i].ID, "thing": things[i]}
	}
	revs := couch.put(docs)

	s := newServer(t)
	s.start("")
	basic := func(password string) object {
		return object{"specName": "Basic Authentication", "params": object{"username": "weir", "password": password}}
	}
	all := &chain{
		spec: "couch.json", vars: map[string]string{"HOST": couch.url}, auth: basic(couchPassword), params: object{"database": "things"},
		fields: thingFields(), rules: thingRules("row.doc.thing.", nil),
	}
	s.travel(all, n)
	same(t, rowsOf(things), s.table(all))

	feed := &chain{
		spec: "couch_changes.json", vars: all.vars, auth: all.auth, params: all.params, fields: thingFields(),
		rules: thingRules("change.doc.thing.", map[string]string{"_id": `concat(change.id, "/", change.changes[0].rev)`, "asked": "_change_request_type"}),
	}
	feed.fields["asked"] = object{"type": "string"}
	s.travel(feed, n)
	want := map[string]object{}
	put := func(i int, rev string, th *thing) {
		id := things[i].ID + "/" + rev
		want[id] = object{"_id": id, "asked": "d"}
		if th != nil {
			want[id] = th.row()
			want[id]["_id"] = id
		}
	}
	for i := range things {
		put(i, revs[i], &things[i])
	}
	same(t, want, s.table(feed))

	things = append(things, newThings(n + 40)[n:]...)
	docs = docs[:0]
	var touched []int
	for i := 7; i < n; i += 70 {
		touched = append(touched, i)
		if i%2 == 0 {
			docs = append(docs, object{"_id": things[i].ID, "_rev": revs[i], "_deleted": true})
			continue
		}
		things[i].Name, things[i].Note = "übermalt", nil
		docs = append(docs, object{"_id": things[i].ID, "_rev": revs[i], "thing": things[i]})
	}
	for i := n; i < n+40; i++ {
		touched = append(touched, i)
		docs = append(docs, object{"_id": things[i].ID, "thing": things[i]})
	}
	for k, rev := range couch.put(docs) {
		th := &things[touched[k]]
		if docs[k]["_deleted"] == true {
			th = nil
		}
		put(touched[k], rev, th)
	}
	s.succeeded(s.again(feed, nil, 30*time.Second), len(touched))
	same(t, want, s.table(feed))
}

const couchPassword = "päss:wörd"

type couch struct {
	t     *testing.T
	url   string
	login map[string]string
}

// put stores documents and returns their revisions.
func (c *couch) put(docs []object) []string {
	c.t.Helper()
	var answers []struct {
		Rev   string `json:"rev"`
		Error any    `json:"error"`
	}
	if err := json.Unmarshal(ask(c.t, "POST", c.url+"/things/_bulk_docs", c.login, object{"docs": docs}), &answers); err != nil {
		c.t.Fatal(err)
	}
	revs := make([]string, len(answers))
	for i, a := range answers {
		if revs[i] = a.Rev; a.Error != nil || a.Rev == "" {
			c.t.Fatalf("document %d was not stored: %v", i, a.Error)
		}
	}
	return revs
}

// TestGuardedServer reads an API that asks an OpenID provider about every token. Tokens live one second, so a run needs several: for a
// client of its own, shown in the body and in a Basic header, and for a person who agreed in a browser, with refresh tokens that work once.
func TestGuardedServer(t *testing.T) {
	t.Parallel()
	const n = 2000
	things := newThings(n)
	file := dataFile(t, things)
	s := newServer(t)
	s.start("")
	up := nodeServer(t, "guarded.mjs", file, "1", s.api.Base+flowServicePath+"/consent")
	vars := map[string]string{"ISSUER": up.URL[0], "HOST": up.URL[1]}
	want := rowsOf(things)

	machine := func(spec, id, secret string) *chain {
		return &chain{
			spec: "guarded.json", vars: vars, fields: thingFields(), rules: thingRules("", nil), params: object{"stream": "paged"},
			auth: object{"specName": spec, "params": object{"clientId": id, "clientSecret": secret, "scope": "things:read", "accessTokenUrl": up.URL[0] + "/token"}},
		}
	}
	for _, c := range []*chain{machine("Client", "machine", "machine-secret"), machine("Client in a header", "machine-basic", "basic secret/+%")} {
		before := up.count("token client_credentials")
		s.travel(c, n)
		same(t, want, s.table(c))
		if got := up.count("token client_credentials") - before; got < 3 {
			t.Errorf("%v: the run had %d tokens; it lasts longer than two of them live", c.auth["specName"], got)
		}
	}

	whole := machine("Client", "machine", "machine-secret")
	whole.params["stream"] = "whole" // in one answer, with the ETag of the last one
	s.travel(whole, n)
	same(t, want, s.table(whole))
	s.succeeded(s.again(whole, nil, 30*time.Second), 0)

	person := &chain{
		spec: "guarded.json", vars: vars, fields: thingFields(), rules: thingRules("", nil), params: object{"stream": "linked"},
		auth: object{"specName": "Person", "params": object{"clientId": "app", "clientSecret": "app-secret", "accessTokenUrl": up.URL[0] + "/token"}},
	}
	s.connect(person)
	s.agree(person.connection)
	if s.explore(person); t.Failed() {
		return
	}
	s.build(person)
	s.succeeded(s.ended(person.flow, 60*time.Second), n)
	same(t, want, s.table(person))
	renewed, revoked := up.count("token refresh_token"), up.count("token grant_revoked")
	if renewed < 3 || revoked > 0 {
		t.Errorf("%d refresh tokens were made and %d grants revoked; each renewal makes one, and a token used twice ends the grant", renewed, revoked)
	}
	s.stop(9)
	s.start("")
	s.succeeded(s.again(person, nil, 60*time.Second), n)
	if up.count("token grant_revoked") > 0 {
		t.Error("after a restart a refresh token was used twice")
	}
}

// dataFile writes things for a server that reads its records from a file.
func dataFile(t *testing.T, things []thing) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "data.json")
	if err := os.WriteFile(file, encode(t, object{"things": things}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestGraphQLServer reads a GraphQL API page by page, with the page in the variables and the total beside the records. A query that the
// server refuses is an error, whatever the status of its answer.
func TestGraphQLServer(t *testing.T) {
	t.Parallel()
	const n = 1500
	things := newThings(n)
	up := nodeServer(t, "graphql.mjs", dataFile(t, things))
	s := newServer(t)
	s.start("")
	c := &chain{spec: "graphql.json", vars: map[string]string{"HOST": up.URL[0]}, params: object{"stream": "good"}, fields: thingFields(), rules: thingRules("node.", nil)}
	s.travel(c, n)
	same(t, rowsOf(things), s.table(c))
	var out preview
	_, err := s.api.Do(t.Context(), http.MethodGet, flowServicePath+"/connections/"+c.connection+"/explore?objectType=rest&object=json&fileType=json&preview=true&stream=wrong", nil, nil, &out)
	if err == nil || !strings.Contains(err.Error(), "nonsense") && !strings.Contains(err.Error(), "the query failed") {
		t.Errorf("the preview of a wrong query says %v", err)
	}
}

// agree gives the consent that a connection asks for, as a person with a browser does: log in, agree, and be sent back to Weir.
func (s *server) agree(connection string) {
	s.t.Helper()
	var begun struct {
		URL string `json:"url"`
	}
	if _, err := s.api.Do(s.t.Context(), http.MethodPost, flowServicePath+"/connections/"+connection+"/consent", nil, object{}, &begun); err != nil {
		s.t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	at, page := browse(s.t, browser, begun.URL, nil)
	action, prompt := regexp.MustCompile(`action="([^"]+)"`), regexp.MustCompile(`name="prompt" value="([^"]+)"`)
	for range 3 {
		where, what := action.FindStringSubmatch(page), prompt.FindStringSubmatch(page)
		if where == nil || what == nil {
			break
		}
		next, err := at.Parse(where[1])
		if err != nil {
			s.t.Fatal(err)
		}
		at, page = browse(s.t, browser, next.String(), url.Values{"prompt": {what[1]}, "login": {"ida"}, "password": {"x"}})
	}
	if !strings.HasPrefix(at.String(), s.api.Base) || !strings.Contains(page, `"result":true`) {
		s.t.Fatalf("the consent ended at %s:\n%.1000s", at, page)
	}
}

// browse opens a page, or sends a form, and follows where it leads.
func browse(t *testing.T, c *http.Client, address string, form url.Values) (*url.URL, string) {
	t.Helper()
	method, body := http.MethodGet, ""
	if form != nil {
		method, body = http.MethodPost, form.Encode()
	}
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return res.Request.URL, readAll(t, res)
}

// TestDynamoServer reads a server of the DynamoDB protocol: signed POST requests, where an object in the answer is the position in the
// next body.
func TestDynamoServer(t *testing.T) {
	t.Parallel()
	up := nodeServer(t, "dynamo.mjs")
	s := newServer(t)
	s.start("")
	dynamo(t, s, up.URL[0], awsKey{"AKIAWEIR", "any secret"})
}

// dynamo fills a table and takes it through a chain.
func dynamo(t *testing.T, s *server, host string, key awsKey) {
	t.Helper()
	const n = 1500
	call := func(action string, body object) {
		key.call(t, "dynamodb", "POST", host+"/", map[string]string{"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810." + action}, encode(t, body))
	}
	call("CreateTable", object{
		"TableName": "things", "BillingMode": "PAY_PER_REQUEST", "KeySchema": []object{{"AttributeName": "id", "KeyType": "HASH"}},
		"AttributeDefinitions": []object{{"AttributeName": "id", "AttributeType": "S"}},
	})
	things := newThings(n)
	for i := 0; i < n; i += 25 {
		var puts []object
		for k := range things[i : i+25] {
			puts = append(puts, object{"PutRequest": object{"Item": item(&things[i+k])}})
		}
		call("BatchWriteItem", object{"RequestItems": object{"things": puts}})
	}
	c := &chain{
		spec: "dynamo.json", vars: map[string]string{"HOST": host}, params: object{"table": "things"}, fields: thingFields(),
		auth: object{"specName": "AWS", "params": object{"accessKeyId": key.id, "secretAccessKey": key.secret, "region": "eu-central-1"}},
		rules: map[string]string{
			"_id": "id.S", "code": "code.S", "name": "name.S", "note": "note.S", "amount": "amount.N", "count": "count.N", "active": "active.BOOL",
			"address.city": "address.M.city.S", "address.zip": "address.M.zip.S", "tags": "tags.L[*].S", "changed": "changed.S",
		},
	}
	s.travel(c, n)
	same(t, rowsOf(things), s.table(c))
}

// item is a thing as DynamoDB writes it: every value names its type.
func item(r *thing) object {
	text := func(s *string) object {
		if s == nil {
			return object{"NULL": true}
		}
		return object{"S": *s}
	}
	tags := make([]object, len(r.Tags))
	for i := range r.Tags {
		tags[i] = text(&r.Tags[i])
	}
	return object{
		"id": text(&r.ID), "code": text(&r.Code), "name": text(&r.Name), "note": text(r.Note), "amount": object{"N": strconv.FormatFloat(r.Amount, 'f', -1, 64)},
		"count": object{"N": fmt.Sprint(r.Count)}, "active": object{"BOOL": r.Active}, "changed": text(&r.Changed), "tags": object{"L": tags},
		"address": object{"M": object{"city": text(&r.Address.City), "zip": text(r.Address.Zip)}},
	}
}
