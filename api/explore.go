package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"

	"weir"
	"weir/source/rest"
	"weir/store"
)

// objectTypes are what can be explored (flow-service §5.1).
var objectTypes = map[string]bool{"root": true, "folder": true, "file": true, "table": true, "rest": true}

// exploreNames are the query parameters of explore that are not source parameters, without case and underscores.
var exploreNames = map[string]bool{
	"objecttype": true, "object": true, "filetype": true, "preview": true, "columndelimiter": true, "compressiontype": true,
	"encoding": true, "determineproperties": true, "sourceparams": true, "filters": true,
}

// testConnection is GET /connections/{id}/test (§5.6).
func testConnection(c *call) (reply, error) {
	b, err := c.bind(c.param("id"), nil)
	if err != nil {
		return reply{}, err
	}
	src, err := c.server.Engine.Open(c.ctx(), b)
	if err != nil {
		return reply{}, err
	}
	if err := src.Test(c.ctx()); err != nil {
		return reply{}, refused(err)
	}
	return ok(object{}.set("result", true)), nil
}

// bind joins a stored connection, its spec and source parameters. What a PATCH has left out of the credentials is reported here (R27).
func (c *call) bind(id string, params json.RawMessage) (b weir.Binding, err error) {
	err = c.view(func(tx *store.Tx) error {
		conn, err := connections.read(c, tx, id)
		if err != nil {
			return err
		}
		b, err = c.server.Engine.Bind(tx, c.Scope, "", conn, params)
		return err
	})
	if err == nil && b.AuthSpec != "" {
		err = faults(rest.CheckAuth(b.Spec, b.AuthSpec, b.Auth))
	}
	return b, err
}

// refused turns what a source did into an answer: an error with a code keeps it, an upstream 5xx included, because the server is well.
func refused(err error) error {
	switch {
	case err == nil || weir.CodeOf(err) != "":
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return &weir.Error{Code: "CONNECTOR-1012-504", Message: "The source did not answer in time.", Err: err}
	}
	return &weir.Error{Code: "CONNECTOR-1308-400", Message: "The source could not be reached.", Err: err}
}

// exploreConnection is GET /connections/{id}/explore (§5.1): a bare array for root and folder, else format, schema and data.
func exploreConnection(c *call) (reply, error) {
	q, err := c.exploreQuery()
	if err != nil {
		return reply{}, err
	}
	b, err := c.bind(c.param("id"), q.Params)
	if err != nil {
		return reply{}, err
	}
	return c.explore(b, q)
}

func (c *call) explore(b weir.Binding, q weir.ExploreQuery) (reply, error) {
	src, err := c.server.Engine.Open(c.ctx(), b)
	if err != nil {
		return reply{}, err
	}
	p, err := src.Explore(c.ctx(), q)
	if err != nil {
		return reply{}, refused(err)
	}
	if p.Items != nil || q.ObjectType == "root" || q.ObjectType == "folder" {
		if p.Items == nil {
			p.Items = []weir.ExploreItem{}
		}
		return ok(p.Items), nil
	}
	out := object{}.set("format", p.Format).with("schema", p.Schema)
	if p.Data != nil {
		out = out.set("data", p.Data)
	}
	return ok(out), nil
}

// exploreQuery reads the parameters of an explore. Unknown ones are source parameters; sourceParams wins over them.
func (c *call) exploreQuery() (weir.ExploreQuery, error) {
	given := map[string]string{} // first value of each known parameter
	loose := object{}
	for _, m := range pairsOf(c.req.URL.RawQuery) {
		key := strings.ReplaceAll(strings.ToLower(m[0]), "_", "")
		switch {
		case exploreNames[key]:
			if _, there := given[key]; !there {
				given[key] = m[1]
			}
		case loose.get(m[0]) == nil:
			loose = loose.set(m[0], m[1])
		}
	}
	q := weir.ExploreQuery{
		ObjectType: strings.ToLower(given["objecttype"]), Object: given["object"], FileType: strings.ToLower(given["filetype"]),
		Preview: strings.EqualFold(given["preview"], "true"), Compression: given["compressiontype"], Encoding: given["encoding"],
		Determine: strings.EqualFold(given["determineproperties"], "true"),
	}
	if q.ObjectType == "" {
		q.ObjectType = "root"
	}
	var err error
	if q.ColumnDelimiter, err = delimiter(given["columndelimiter"]); err != nil {
		return q, err
	}
	if err := checkExplore(q, given); err != nil {
		return q, err
	}
	explicit, err := sourceParams(given["sourceparams"])
	if err != nil {
		return q, err
	}
	q.Params = loose.over(explicit).raw()
	return q, nil
}

func checkExplore(q weir.ExploreQuery, given map[string]string) error {
	switch {
	case !objectTypes[q.ObjectType]:
		return weir.Errorf("CONNECTOR-1358-400", "objectType %q is not known. Use root, folder, file, table or rest.", shorten(q.ObjectType))
	case q.Object == "" && (q.ObjectType == "folder" || q.ObjectType == "file" || q.ObjectType == "table"):
		return weir.Errorf("CONNECTOR-1337-400", "The query parameter object is empty; objectType %s needs it.", q.ObjectType)
	case q.FileType != "" && q.FileType != "delimited" && q.FileType != "json" && q.FileType != "parquet":
		return weir.Errorf("CONNECTOR-1312-400", "fileType %q is not known. Use delimited, json or parquet.", shorten(q.FileType))
	case q.Determine && (q.FileType != "" || given["columndelimiter"] != "" || q.Compression != ""):
		return weir.Errorf("CONNECTOR-1374-400", "determineProperties excludes fileType, columnDelimiter and compressionType.")
	}
	if given["filters"] != "" {
		raw, err := base64Text(given["filters"])
		if err != nil || !isObject(raw) || checkJSON(raw) != nil {
			return weir.Errorf("CONNECTOR-1389-400", "filters must be base64 of a PQL JSON object.")
		}
		return weir.Errorf("CONNECTOR-1353-400", "This source cannot filter.")
	}
	return nil
}

// delimiter reads columnDelimiter: one character, \t for a tab (1331).
func delimiter(text string) (string, error) {
	if text == `\t` {
		return "\t", nil
	}
	if utf8.RuneCountInString(text) > 1 {
		return "", weir.Errorf("CONNECTOR-1331-400", "columnDelimiter %q is longer than one character.", shorten(text))
	}
	return text, nil
}

// sourceParams decodes sourceParams: base64 of a JSON object in either alphabet, padded or not; empty is {}.
func sourceParams(text string) (object, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	raw, err := base64Text(text)
	if err == nil {
		err = checkJSON(raw)
	}
	if err == nil && !isObject(raw) {
		err = errors.New("not an object")
	}
	if err != nil {
		return nil, weir.Errorf("CONNECTOR-1312-400", "sourceParams must be base64 of a JSON object: %w.", err)
	}
	return parseObject(raw)
}

func base64Text(text string) (json.RawMessage, error) {
	text = strings.TrimRight(strings.NewReplacer("+", "-", "/", "_", " ", "-").Replace(strings.TrimSpace(text)), "=")
	return base64.RawURLEncoding.DecodeString(text)
}

// pairsOf are the decoded query parameters in their order.
func pairsOf(query string) [][2]string {
	var out [][2]string
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		out = append(out, [2]string{unescape(name), unescape(value)})
	}
	return out
}

// landingZone are the specs that can be explored without a connection (§5.7).
const landingZone = "26f526f2-58f4-4712-961d-e41bf1ccc0e8"

// exploreSpec is GET /connectionSpecs/{id}/explore (§5.7).
func exploreSpec(c *call) (reply, error) {
	var b weir.Binding
	err := c.view(func(tx *store.Tx) error {
		d, err := connectionSpecs.read(c, tx, c.param("id"))
		if err != nil {
			return err
		}
		if d.ID != landingZone {
			return weir.Errorf("CONNECTOR-1372-400", "Connection spec %s cannot be explored without a connection. Use GET %s/connections/{id}/explore.", d.ID, flowServiceBase)
		}
		b, err = c.server.Engine.Bind(tx, c.Scope, d.ID, nil, nil)
		return err
	})
	if err != nil {
		return reply{}, err
	}
	q, err := c.exploreQuery()
	if err != nil {
		return reply{}, err
	}
	b.Params = q.Params
	return c.explore(b, q)
}

// configsOfConnection and configsOfSpec answer provider configurations: there are none here (§5.7).
func configsOfConnection(c *call) (reply, error) { return c.noConfigs(connections) }
func configsOfSpec(c *call) (reply, error)       { return c.noConfigs(connectionSpecs) }

func (c *call) noConfigs(r *resource) (reply, error) {
	if err := c.view(func(tx *store.Tx) error { _, err := r.read(c, tx, c.param("id")); return err }); err != nil {
		return reply{}, err
	}
	return ok(object{}.set("items", []object{}).set("pageInfo", object{}.set("hasNext", false))), nil
}
