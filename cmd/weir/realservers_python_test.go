package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sigv4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	_ "modernc.org/sqlite"

	"weir/blob"
	"weir/flow"
)

// pythonServer runs a module of the interpreter in WEIR_TEST_PYTHON, which has the versions of testdata/servers/requirements.txt.
func pythonServer(t *testing.T, announce, module string, args ...string) *outside {
	t.Helper()
	python := os.Getenv("WEIR_TEST_PYTHON")
	find := "import importlib.util as u, sys; sys.exit(u.find_spec(sys.argv[1]) is None)"
	if python == "" || exec.CommandContext(t.Context(), python, "-c", find, strings.Split(module, ".")[0]).Run() != nil {
		t.Skipf("skipped: no %s; pip install -r testdata/servers/requirements.txt and set WEIR_TEST_PYTHON to that interpreter", module)
	}
	return startOutside(t, announce, python, append([]string{"-u", "-m", module}, args...)...)
}

// TestDatasetteServer reads a SQLite file that Datasette serves, in each of the ways it hands rows out. The first run is killed while it
// copies and goes on where it was.
func TestDatasetteServer(t *testing.T) {
	t.Parallel()
	const n = 3000
	things := newThings(n)
	file := filepath.Join(t.TempDir(), "shop.db")
	fillSQLite(t, file, things)
	up := pythonServer(t, "Uvicorn running on ", "datasette", "serve", "--host", "127.0.0.1", "--port", "0", "--setting", "max_returned_rows", "500", file)
	want := rowsOf(things)
	truth := map[string]string{"_id": "thing.id", "active": "iif(thing.active == 1, true, false)"}
	source := func(stream string, rules map[string]string) *chain {
		return &chain{
			spec: "datasette.json", vars: map[string]string{"HOST": up.URL[0]}, params: object{"database": "shop", "table": "things", "stream": stream},
			fields: thingFields(), rules: rules,
		}
	}

	s := newServer(t)
	s.start(flow.FailCopyPage + ":5")
	tokens := source("tokens", thingRules("thing.", truth))
	s.connect(tokens)
	s.explore(tokens)
	s.build(tokens)
	s.crashed()
	if files := s.parquetFiles(); len(files) > 0 {
		t.Errorf("after the crash files can be seen: %q", files)
	}
	s.start("")
	s.succeeded(s.ended(tokens.flow, 60*time.Second), n)
	same(t, want, s.table(tokens))

	flat := map[string]string{"_id": "id", "active": "iif(active == 1, true, false)"}
	cells := map[string]string{
		"_id": "id", "active": `iif(active == "1", true, false)`, "tags": "json_to_object(tags)", "note": `iif(hasnote == "0", null, note)`,
		"address.city": "json_to_object(address).city", "address.zip": "json_to_object(address).zip",
	}
	for _, c := range []*chain{source("links", thingRules("thing.", truth)), source("header", thingRules("", flat)), source("csv", thingRules("", cells))} {
		s.travel(c, n)
		same(t, want, s.table(c))
	}
}

// fillSQLite writes things into a new SQLite file; the nested members are JSON texts.
func fillSQLite(t *testing.T, file string, things []thing) {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = tx.ExecContext(t.Context(), `CREATE TABLE things (id TEXT PRIMARY KEY, code TEXT, name TEXT, note TEXT, hasnote INTEGER, amount REAL, count INTEGER,
		active INTEGER, address TEXT, tags TEXT, changed TEXT)`)
	if err != nil {
		t.Fatal(err)
	}
	for i := range things {
		r := &things[i]
		_, err := tx.ExecContext(t.Context(), `INSERT INTO things VALUES (?,?,?,?,?,?,?,?,?,?,?)`,
			r.ID, r.Code, r.Name, r.Note, r.Note != nil, r.Amount, r.Count, r.Active, string(encode(t, r.Address)), string(encode(t, r.Tags)), r.Changed)
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

// TestMotoServer reads what AWS would serve, from a server that checks every signature: the objects of a bucket, found by listing it in
// pages, unpacked and read line by line, with a crash among them; and a DynamoDB table. Weir's own bucket is on the same server.
func TestMotoServer(t *testing.T) {
	const objects, each = 40, 50
	up := pythonServer(t, "Running on ", "moto.server", "-H", "127.0.0.1", "-p", "0")
	host := up.URL[0]
	key := motoKey(t, host)
	things := newThings(objects * each)
	for _, bucket := range []string{"intake", "lake"} {
		key.call(t, "s3", "PUT", host+"/"+bucket, nil, []byte(`<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LocationConstraint>eu-central-1</LocationConstraint></CreateBucketConfiguration>`))
	}
	want := map[string]object{}
	for k := range objects {
		name := fmt.Sprintf("2031/ü %02d+a (b)&c='d'.ndjson.gz", k)
		var lines bytes.Buffer
		packed := gzip.NewWriter(&lines)
		for i := k * each; i < (k+1)*each; i++ {
			_, _ = fmt.Fprintf(packed, "%s\n", encode(t, things[i]))
			want[things[i].ID] = things[i].row()
			want[things[i].ID]["object"] = name
		}
		if err := packed.Close(); err != nil {
			t.Fatal(err)
		}
		key.call(t, "s3", "PUT", host+"/intake/"+s3Path(name), nil, lines.Bytes())
	}

	t.Setenv("AWS_ACCESS_KEY_ID", key.id) // of Weir's own bucket
	t.Setenv("AWS_SECRET_ACCESS_KEY", key.secret)
	lake := "s3://lake/weir?region=eu-central-1&use_path_style=true&endpoint=" + host
	s := newServer(t, "--lake", lake)
	s.start(flow.FailCopyPage + ":9")
	c := &chain{
		spec: "s3.json", vars: map[string]string{"HOST": host}, params: object{"bucket": "intake", "prefix": "2031/"}, fields: thingFields(),
		rules: thingRules("", map[string]string{"object": "key"}),
		auth:  object{"specName": "AWS", "params": object{"accessKeyId": key.id, "secretAccessKey": key.secret, "region": "eu-central-1"}},
	}
	c.fields["object"] = object{"type": "string"}
	s.connect(c)
	s.explore(c)
	s.build(c)
	s.crashed()
	if files := fetchParquet(t, lake); len(files) > 0 {
		t.Errorf("after the crash %d files can be seen", len(files))
	}
	s.start("")
	s.succeeded(s.ended(c.flow, 60*time.Second), len(things))
	same(t, want, readTable(t, c.tenant, fetchParquet(t, lake)))

	local := newServer(t)
	local.start("")
	dynamo(t, local, host, key)
	wrong := &chain{spec: "s3.json", vars: c.vars, params: c.params, auth: object{"specName": "AWS", "params": object{"accessKeyId": key.id, "secretAccessKey": "another", "region": "eu-central-1"}}}
	local.connect(wrong)
	if _, err := local.api.Do(t.Context(), http.MethodGet, flowServicePath+"/connections/"+wrong.connection+"/test", nil, nil, nil); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("the test of a connection with a wrong secret says %v", err)
	}
}

// motoKey makes a user who may do everything and from then on lets the server check who asks.
func motoKey(t *testing.T, host string) awsKey {
	t.Helper()
	anybody := awsKey{"AKIAANYBODY", "none"}
	iam := func(form url.Values) []byte {
		form.Set("Version", "2010-05-08")
		return anybody.call(t, "iam", "POST", host+"/", map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, []byte(form.Encode()))
	}
	iam(url.Values{"Action": {"CreateUser"}, "UserName": {"weir"}})
	iam(url.Values{
		"Action": {"PutUserPolicy"}, "UserName": {"weir"}, "PolicyName": {"all"},
		"PolicyDocument": {`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`},
	})
	var made struct {
		ID     string `xml:"CreateAccessKeyResult>AccessKey>AccessKeyId"`
		Secret string `xml:"CreateAccessKeyResult>AccessKey>SecretAccessKey"`
	}
	if err := xml.Unmarshal(iam(url.Values{"Action": {"CreateAccessKey"}, "UserName": {"weir"}}), &made); err != nil || made.Secret == "" {
		t.Fatalf("no access key: %v", err)
	}
	anybody.call(t, "iam", "POST", host+"/moto-api/reset-auth", nil, []byte("0"))
	return awsKey{made.ID, made.Secret}
}

// fetchParquet copies the Parquet files of a bucket to a folder.
func fetchParquet(t *testing.T, bucket string) []string {
	t.Helper()
	b, err := blob.Open(t.Context(), bucket)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	dir := t.TempDir()
	var files []string
	for o, err := range b.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(o.Name, ".parquet") {
			continue
		}
		raw, err := b.Read(t.Context(), o.Name)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, fmt.Sprintf("%d.parquet", len(files)))
		if err := os.WriteFile(file, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

// awsKey signs the requests that fill a source.
type awsKey struct{ id, secret string }

func (k awsKey) call(t *testing.T, service, method, address string, header map[string]string, body []byte) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	req.Header.Set("X-Amz-Content-Sha256", hash)
	err = sigv4.NewSigner(func(o *sigv4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" }).SignHTTP(context.WithoutCancel(t.Context()),
		aws.Credentials{AccessKeyID: k.id, SecretAccessKey: k.secret}, req, hash, service, "eu-central-1", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text := readAll(t, res)
	if res.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %s\n%.2000s", method, address, res.Status, text)
	}
	return []byte(text)
}

// s3Path encodes a key as S3 has it in a path.
func s3Path(key string) string {
	parts := strings.Split(key, "/")
	for i, p := range parts {
		parts[i] = strings.NewReplacer("+", "%20").Replace(url.QueryEscape(p))
	}
	return strings.Join(parts, "/")
}

func readAll(t *testing.T, res *http.Response) string {
	t.Helper()
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
