package api

import (
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"weir"
	"weir/store"
)

// The sandbox management API (schema-catalog-data §5). A sandbox's document has the organisation as its scope and the name as its id.
var sandboxRoutes = []route{
	{"GET", "/", listActiveSandboxes, access{orgOnly: true}},
	{"GET", "/sandboxes", listSandboxes, access{orgOnly: true}},
	{"POST", "/sandboxes", createSandbox, access{orgOnly: true}},
	{"GET", "/sandboxes/{name}", getSandbox, access{orgOnly: true}},
	{"PUT", "/sandboxes/{name}", resetSandbox, access{orgOnly: true}},
	{"PATCH", "/sandboxes/{name}", patchSandbox, access{orgOnly: true}},
	{"DELETE", "/sandboxes/{name}", deleteSandbox, access{orgOnly: true}},
	{"GET", "/sandboxTypes", listSandboxTypes, access{orgOnly: true}},
}

const sandboxActive = "active"

// sandboxBody is the body of a sandbox's document.
type sandboxBody struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Title     string `json:"title"`
	Type      string `json:"type"`
	State     string `json:"state"`
	IsDefault bool   `json:"isDefault"`
}

var (
	sandboxName  = regexp.MustCompile(`^[a-z][a-z0-9-]{0,254}$`)
	sandboxTypes = []object{
		object{}.set("id", "production").set("title", "Production"),
		object{}.set("id", "development").set("title", "Development"),
	}
)

func insertSandbox(tx *store.Tx, org string, b sandboxBody, by weir.Actor) error {
	if b.ID == "" {
		b.ID = weir.NewUUID()
	}
	return tx.Insert(&weir.Doc{Kind: weir.KindSandbox, ID: b.Name, Scope: weir.Scope{Org: org}, Body: encode(b)}, by)
}

// viewSandbox is a sandbox as clients read it; both spellings of twice-spelt members are there (Q32), dates are RFC 3339 (Q-C).
func viewSandbox(d *weir.Doc) (object, error) {
	o, err := parseObject(d.Body)
	if err != nil {
		return nil, err
	}
	date := func(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }
	return o.set("region", "LOCAL").set("eTag", d.Rev).set("etag", d.Rev).
		set("createdDate", date(d.CreatedAt)).set("lastModifiedDate", date(d.UpdatedAt)).
		set("createdBy", d.CreatedBy).set("lastModifiedBy", d.UpdatedBy).set("modifiedBy", d.UpdatedBy), nil
}

func listActiveSandboxes(c *call) (reply, error) { return c.sandboxes(true) }
func listSandboxes(c *call) (reply, error)       { return c.sandboxes(false) }

// sandboxes answers a page of sandboxes by name. limit is 1…1000 (default 50), offset counts items.
func (c *call) sandboxes(activeOnly bool) (reply, error) {
	limit, err := c.whole("limit", 50, 1, 1000)
	if err != nil {
		return reply{}, err
	}
	offset, err := c.whole("offset", 0, 0, 1<<30)
	if err != nil {
		return reply{}, err
	}
	items := []object{}
	err = c.view(func(tx *store.Tx) error {
		docs, _, err := tx.Find(store.Query{Kind: weir.KindSandbox, Scopes: []weir.Scope{c.Scope}})
		if err != nil {
			return err
		}
		items = items[:0]
		for _, d := range docs {
			var b sandboxBody
			if err := d.Read(&b); err != nil {
				return err
			}
			if activeOnly && b.State != sandboxActive {
				continue
			}
			o, err := viewSandbox(d)
			if err != nil {
				return err
			}
			items = append(items, o)
		}
		return nil
	})
	if err != nil {
		return reply{}, err
	}
	items = items[min(offset, len(items)):]
	items = items[:min(limit, len(items))]
	href := c.baseURL() + "/data/foundation/sandbox-management" + strings.TrimRight(c.bound.path, "/") + "?limit={limit}&offset={offset}"
	page := object{}.set("limit", limit).set("count", len(items))
	links := object{}.set("page", object{}.set("href", href).set("templated", true))
	return ok(object{}.set("sandboxes", items).set("_page", page).set("_links", links)), nil
}

// whole is a whole-number query parameter with bounds; absent or empty is the default.
func (c *call) whole(name string, absent, least, most int) (int, error) {
	text := strings.TrimSpace(c.arg(name))
	if text == "" {
		return absent, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, weir.Errorf(c.service.codes.badJSON, "%s is %q; a whole number from %d to %d is expected.", name, text, least, most)
	}
	return n, nil
}

func listSandboxTypes(*call) (reply, error) {
	return ok(object{}.set("sandboxTypes", sandboxTypes)), nil
}

// sandbox reads the one the path names.
func (c *call) sandbox(tx *store.Tx) (*weir.Doc, sandboxBody, error) {
	var b sandboxBody
	d, err := tx.Get(weir.KindSandbox, c.Scope, c.param("name"))
	if errors.Is(err, weir.ErrNotFound) {
		return nil, b, &weir.Error{Code: c.service.codes.sandbox, Message: "Sandbox " + strconv.Quote(c.param("name")) + " was not found.", ID: c.param("name"), Type: "sandboxes"}
	}
	if err != nil {
		return nil, b, err
	}
	err = d.Read(&b)
	return d, b, err
}

func getSandbox(c *call) (reply, error) {
	var o object
	err := c.view(func(tx *store.Tx) error {
		d, _, err := c.sandbox(tx)
		if err != nil {
			return err
		}
		o, err = viewSandbox(d)
		return err
	})
	return ok(o), err
}

func createSandbox(c *call) (reply, error) {
	in, err := c.object()
	if err != nil {
		return reply{}, err
	}
	b := sandboxBody{Name: in.text("name"), Title: in.text("title"), Type: in.text("type"), State: sandboxActive}
	if !sandboxName.MatchString(b.Name) {
		return reply{}, fault("SANDBOX-1000-400", "/name", "name must be lower-case letters, digits and dashes, beginning with a letter.")
	}
	if b.Type == "" {
		b.Type = "development"
	}
	if b.Type != "development" && b.Type != "production" {
		return reply{}, fault("SANDBOX-1000-400", "/type", "type is development or production.")
	}
	if b.Title == "" {
		b.Title = b.Name
	}
	var o object
	err = c.write(func(tx *store.Tx) error {
		err := insertSandbox(tx, c.Scope.Org, b, c.Actor)
		if errors.Is(err, weir.ErrConflict) {
			return fault("SANDBOX-1001-409", "/name", "There is a sandbox %q already.", b.Name)
		}
		if err != nil {
			return err
		}
		d, err := tx.Get(weir.KindSandbox, c.Scope, b.Name)
		if err != nil {
			return err
		}
		o, err = viewSandbox(d)
		return err
	})
	return reply{status: http.StatusAccepted, body: o}, err
}

func resetSandbox(c *call) (reply, error) {
	if err := c.view(func(tx *store.Tx) error { _, _, err := c.sandbox(tx); return err }); err != nil {
		return reply{}, err
	}
	return reply{}, weir.Errorf("SANDBOX-1002-400", "Sandboxes cannot be reset. Delete the sandbox and create it again.")
}

func patchSandbox(c *call) (reply, error) {
	in, err := c.object()
	if err != nil {
		return reply{}, err
	}
	if in.text("title") == "" {
		return reply{}, fault("SANDBOX-1000-400", "/title", "title is the one member that can change, and it must be text.")
	}
	var o object
	err = c.write(func(tx *store.Tx) error {
		d, b, err := c.sandbox(tx)
		if err != nil {
			return err
		}
		b.Title = in.text("title")
		d.Body = encode(b)
		if err := tx.Update(d, c.Actor); err != nil {
			return err
		}
		o, err = viewSandbox(d)
		return err
	})
	return ok(o), err
}

// deleteSandbox removes an empty sandbox. What is in one must be deleted first, so that no data is lost by a slip.
func deleteSandbox(c *call) (reply, error) {
	var o object
	err := c.write(func(tx *store.Tx) error {
		d, b, err := c.sandbox(tx)
		if err != nil {
			return err
		}
		if b.IsDefault || b.Name == defaultSandbox {
			return weir.Errorf("SANDBOX-1003-400", "The default sandbox cannot be deleted.")
		}
		inside := weir.Scope{Org: c.Scope.Org, Sandbox: b.Name}
		for _, kind := range []string{weir.KindFlow, weir.KindConnection, weir.KindDataset, weir.KindSchema, weir.KindMappingSet} {
			n, err := tx.Count(store.Query{Kind: kind, Scopes: []weir.Scope{inside}})
			if err != nil {
				return err
			}
			if n > 0 {
				return weir.Errorf("SANDBOX-1004-400", "Sandbox %q still has %d %s. Delete them first.", b.Name, n, kind)
			}
		}
		if err := tx.Delete(weir.KindSandbox, c.Scope, b.Name); err != nil {
			return err
		}
		b.State = "deleted"
		d.Body = encode(b)
		o, err = viewSandbox(d)
		return err
	})
	return reply{status: http.StatusAccepted, body: o}, err
}
