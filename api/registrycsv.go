package api

import (
	"encoding/json"
	"errors"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"

	"weir"
	"weir/xdm"
)

// maxCSVForm bounds a csv2schema upload in bytes.
const maxCSVForm = 10 << 20

// csvToSchema is POST /rpc/csv2schema: a table of fields becomes the resources that POST /rpc/import takes. Nothing is stored.
func csvToSchema(c *call) (reply, error) {
	media, params, err := mime.ParseMediaType(c.req.Header.Get("Content-Type"))
	if err != nil || media != "multipart/form-data" || params["boundary"] == "" {
		return reply{}, weir.Errorf("XDM-1002-400", "The Content-Type is %q. Send csv-file, schema-class-id and schema-name as multipart/form-data.", shorten(c.req.Header.Get("Content-Type")))
	}
	form, err := multipart.NewReader(http.MaxBytesReader(c.w, c.req.Body, maxCSVForm), params["boundary"]).ReadForm(maxCSVForm)
	if err != nil {
		if large, is := errors.AsType[*http.MaxBytesError](err); is {
			return reply{}, weir.Errorf(c.service.codes.tooLarge, "The form is larger than %d bytes.", large.Limit)
		}
		return reply{}, &weir.Error{Code: c.service.codes.badJSON, Message: "The form could not be read to its end.", Err: err}
	}
	defer func() { _ = form.RemoveAll() }()
	table, err := csvFile(form)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = table.Close() }()
	field := func(name string) string { return strings.Join(form.Value[name], "") }
	var out []json.RawMessage
	err = c.reading(func(r *registry) error {
		if _, err := table.Seek(0, 0); err != nil {
			return err
		}
		var err error
		out, err = xdm.CSVSchema{
			Class: r.canonical(field("schema-class-id")), Title: field("schema-name"), Description: field("schema-description"), Tenant: r.tenant,
			Resolve: r.resolve,
			NewID:   func(resource string) string { return xdm.Namespace + r.tenant + "/" + resource + "/" + weir.NewHex(24) },
		}.FromCSV(table)
		return err
	})
	return ok(out), err
}

// csvFile opens the part csv-file, whether it was sent as a file or as text.
func csvFile(form *multipart.Form) (multipart.File, error) {
	if files := form.File["csv-file"]; len(files) > 0 {
		return files[0].Open()
	}
	if text := form.Value["csv-file"]; len(text) > 0 {
		return textFile{strings.NewReader(text[0])}, nil
	}
	return nil, weir.Errorf("XDM-1531-400", "The form has no part csv-file.")
}

// textFile is a form field read like a file.
type textFile struct{ *strings.Reader }

// Close does nothing; the text is in memory.
func (textFile) Close() error { return nil }
