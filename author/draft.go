package author

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"weir/source/rest"
)

// Import is a connection spec made from another form, and what could not be carried over.
type Import struct {
	Spec   json.RawMessage
	Losses []Loss
	// Notes are constructs that the spec does not have because nothing is missing without them: the platform does it in
	// another way, or it concerns the program the form was made for. The records are the same.
	Notes []Loss
}

// Loss is one construct that the spec does not have, or has with another meaning.
type Loss struct {
	Line      int    // of the file that was imported
	Pointer   string // JSON pointer in it, "" for a text
	Construct string
	Reason    string
	// Whole says that everything inside the construct is not carried over either.
	Whole bool
}

// String is the loss as one line.
func (l Loss) String() string {
	return fmt.Sprintf("line %d %s: %s: %s", l.Line, l.Pointer, l.Construct, l.Reason)
}

// losses collects what is not carried over.
type losses struct{ list, notes []Loss }

func (l *losses) add(n *node, construct, format string, args ...any) {
	l.put(&l.list, n, false, construct, format, args)
}

// drop is add for a construct with everything in it.
func (l *losses) drop(n *node, construct, format string, args ...any) {
	l.put(&l.list, n, true, construct, format, args)
}

// note is for what nothing is missing without; whole includes everything in it.
func (l *losses) note(n *node, whole bool, construct, format string, args ...any) {
	l.put(&l.notes, n, whole, construct, format, args)
}

func (l *losses) put(to *[]Loss, n *node, whole bool, construct, format string, args []any) {
	loss := Loss{Construct: construct, Reason: fmt.Sprintf(format, args...), Whole: whole}
	if n != nil {
		loss.Line, loss.Pointer = n.line, n.at
	}
	if !slices.Contains(*to, loss) {
		*to = append(*to, loss)
	}
}

func byLine(list []Loss) []Loss {
	slices.SortStableFunc(list, func(a, b Loss) int { return a.Line - b.Line })
	return list
}

// request is one request definition under construction: attributes of a spec or of a stream.
type request struct {
	title              string // what the form calls it
	host, path, method string
	query, headers     *object
	body               any // of a POST in the plain dialect
	content            any
	explode            string
	windowed           bool // a bound of the window is computed into it
	paging, schedule   *object
	schema             any
	weir               *object
}

// attributes writes the definition. base, if not nil, is what it inherits: equal members are left out.
func (r *request) attributes() *object {
	u := obj("host", orNil(r.host), "path", orNil(r.path), "method", orNil(r.method))
	if !r.query.empty() {
		u.set("queryParams", r.query)
	}
	o := &object{}
	if len(u.names) > 0 {
		o.set("urlParams", u)
	}
	for name, v := range map[string]*object{"headerParams": r.headers, "paginationParams": r.paging, "scheduleParams": r.schedule} {
		if !v.empty() {
			o.set(name, v)
		}
	}
	if r.body != nil {
		o.set("bodyParams", r.body)
	}
	if r.content != nil {
		o.set("contentPath", r.content)
	}
	if r.explode != "" {
		o.set("explodeEntityPath", r.explode)
	}
	if r.schema != nil {
		o.set("schema", r.schema)
	}
	if !r.weir.empty() {
		o.set("weir", r.weir)
	}
	return o.ordered("urlParams", "headerParams", "bodyParams", "contentPath", "explodeEntityPath", "paginationParams", "scheduleParams", "schema", "weir")
}

// ordered puts the members into an order.
func (o *object) ordered(names ...string) *object {
	out := &object{}
	for _, n := range names {
		if v := o.get(n); v != nil {
			out.set(n, v)
		}
	}
	return out
}

func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// ext sets a member of the extension, inside the named groups.
func (r *request) ext(v any, path ...string) {
	if r.weir == nil {
		r.weir = &object{}
	}
	o := r.weir
	for _, name := range path[:len(path)-1] {
		next, ok := o.get(name).(*object)
		if !ok {
			next = &object{}
			o.set(name, next)
		}
		o = next
	}
	o.set(path[len(path)-1], v)
}

// draft is a spec under construction.
type draft struct {
	name   string
	auth   []*object
	params *object // properties of sourceSpec.spec
	needs  []string
	ui     *object // uiAttributes
	source *object // attributes
}

// batchProvider is the provider of batch sources (contract flow-service §6.1).
const batchProvider = "0ed90a81-07f4-4586-8190-b40eccef1c5a"

// param adds a source parameter.
func (d *draft) param(name string, schema *object, required bool) {
	if d.params == nil {
		d.params = &object{}
	}
	if d.params.get(name) == nil {
		d.params.set(name, schema)
	}
	if required && !slices.Contains(d.needs, name) {
		d.needs = append(d.needs, name)
	}
}

// choice adds the source parameter that picks one of several streams.
func (d *draft) choice(names []string) {
	if len(names) > 1 {
		d.param("stream", obj("type", "string", "description", "What to read.", "enum", names), true)
	}
}

// spec writes the whole spec.
func (d *draft) spec() *object {
	schema := obj("type", "object", "properties", &object{})
	if d.params != nil {
		schema.set("properties", d.params)
	}
	if len(d.needs) > 0 {
		slices.Sort(d.needs)
		schema.set("required", d.needs)
	}
	if d.auth == nil {
		d.auth = []*object{noAuthSpec()}
	}
	if d.ui != nil {
		all := obj("uiAttributes", d.ui)
		for i, n := range d.source.names {
			all.set(n, d.source.values[i])
		}
		d.source = all
	}
	return obj(
		"name", d.name, "type", "generic-rest", "providerId", batchProvider, "version", "1.0", "authSpec", d.auth,
		"sourceSpec", obj("name", d.name, "type", d.name, "spec", schema, "attributes", d.source),
	)
}

// finish checks the spec: what the engine would refuse is a loss, never a silent surprise.
func (d *draft) finish(l *losses) *Import {
	spec := indent(d.spec())
	for _, f := range rest.CheckSpec(spec) {
		l.list = append(l.list, Loss{Pointer: f.Pointer, Construct: "the spec", Reason: "the engine refuses it as it is: " + f.Message})
	}
	return &Import{Spec: spec, Losses: byLine(l.list), Notes: byLine(l.notes)}
}

func noAuthSpec() *object {
	return obj("name", "No Authentication", "type", "NoAuth", "spec", obj("type", "object", "properties", &object{}))
}

func secretText(description string) *object {
	return obj("type", "string", "format", "password", "description", orNil(description))
}

func plainTextSchema(description string) *object {
	return obj("type", "string", "description", orNil(description))
}

func bearerSpec() *object {
	return obj("name", "Bearer Token", "type", "BearerToken", "spec",
		obj("type", "object", "properties", obj("token", secretText("Token.")), "required", []string{"token"}))
}

func basicSpec() *object {
	return obj("name", "Basic Authentication", "type", "BasicAuthentication", "spec",
		obj("type", "object", "properties", obj("username", plainTextSchema("User name."), "password", secretText("Password.")), "required", []string{"username", "password"}))
}

// keySpec is an API key at a place: header, query, cookie or body.
func keySpec(in, name, prefix string) *object {
	at := obj(in+"ParamName", name, "prefix", orNil(prefix))
	key := obj("type", "string", "format", "password", "restAttributes", at)
	return obj("name", "API Key Authentication", "type", "KeyBased", "spec",
		obj("type", "object", "properties", obj("authKey1", key), "required", []string{"authKey1"}))
}

// addKey adds another key to a spec of keys; false for one of another kind.
func addKey(spec *object, in, name string) bool {
	schema, _ := spec.get("spec").(*object)
	props, _ := schema.get("properties").(*object)
	if spec.get("type") != "KeyBased" || props == nil {
		return false
	}
	next := fmt.Sprintf("authKey%d", len(props.names)+1)
	props.set(next, obj("type", "string", "format", "password", "restAttributes", obj(in+"ParamName", name)))
	needs, _ := schema.get("required").([]string)
	schema.set("required", append(slices.Clone(needs), next))
	return true
}

func clientCredentialSpec(tokenURL string) *object {
	url := plainTextSchema("Address that gives access tokens.")
	if tokenURL != "" {
		url.set("default", tokenURL)
	}
	return obj("name", "OAuth2 Client Credential", "type", "OAuth2ClientCredential", "spec", obj("type", "object", "properties",
		obj("clientId", plainTextSchema("Client id."), "clientSecret", secretText("Client secret."), "accessTokenUrl", url, "scope", plainTextSchema("Scopes, separated by blanks.")),
		"required", []string{"clientId", "clientSecret", "accessTokenUrl"}))
}

func refreshSpec(tokenURL string) *object {
	url := plainTextSchema("Address that gives new access tokens.")
	if tokenURL != "" {
		url.set("default", tokenURL)
	}
	return obj("name", "OAuth2 Refresh Code", "type", "OAuth2RefreshCode", "spec", obj("type", "object", "properties",
		obj("accessToken", secretText("Access token."), "refreshToken", secretText("Refresh token."), "clientId", plainTextSchema("Client id."),
			"clientSecret", secretText("Client secret."), "accessTokenUrl", url, "expirationDate", plainTextSchema("When the access token expires; -1 if unknown.")),
		"required", []string{"accessToken"}))
}

var notName = regexp.MustCompile(`[^A-Za-z0-9_]+`)

// fold makes a parameter name of any text.
func paramName(s string) string {
	s = strings.Trim(notName.ReplaceAllString(s, "_"), "_")
	if s == "" {
		return "value"
	}
	return s
}

// splitURL cuts an address into host and path; the query goes into q.
func splitURL(text string, q *object) (host, path string) {
	text, query, _ := strings.Cut(text, "?")
	scheme, after, ok := strings.Cut(text, "://")
	if !ok {
		scheme, after = "https", text
	}
	name, path, slash := strings.Cut(after, "/")
	host = scheme + "://" + name
	if strings.HasPrefix(name, "${") && !ok {
		host = name
	}
	if slash {
		path = "/" + path
	}
	query, _, _ = strings.Cut(query, "#")
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		n, v, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(n); err == nil {
			n = plain
		}
		if plain, err := url.QueryUnescape(v); err == nil {
			v = plain
		}
		q.add(n, v)
	}
	return host, path
}

// add sets a member, or makes a list of what is there and the new one.
func (o *object) add(name string, v any) {
	switch old := o.get(name).(type) {
	case nil:
		o.set(name, v)
	case []any:
		o.set(name, append(old, v))
	default:
		o.set(name, []any{old, v})
	}
}
