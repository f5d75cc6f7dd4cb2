package store

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"weir"
)

// maxID bounds an id, so that every database can index it.
const maxID = 512

// columns are the columns of a document in the order of scanDoc.
const columns = "kind, org, sandbox, id, etag, rev, created_at, updated_at, created_by, updated_by, created_client, updated_client, state, body, meta"

// Insert writes a new document. It sets ID if empty (a uuid), ETag, Rev (1), CreatedAt, UpdatedAt (equal) and the actors, and makes an
// absent Body or Meta the empty object. Secret is sealed, not kept in clear. The error is [weir.ErrConflict] if the scope has a document
// of that kind and id.
func (tx *Tx) Insert(d *weir.Doc, by weir.Actor) error {
	if d.ID == "" {
		d.ID = weir.NewUUID()
	}
	if !plainText(d.ID) || len(d.ID) > maxID {
		return fmt.Errorf("insert %s: the id is longer than %d bytes or no plain text", d.Kind, maxID)
	}
	now := tx.s.now()
	w, err := tx.s.newWrite(d)
	if err != nil {
		return fmt.Errorf("insert %s %s: %w", d.Kind, d.ID, err)
	}
	ms := now.UnixMilli()
	etag := weir.NewETag(now)
	names := columns + ", secret"
	args := []any{
		d.Kind, d.Scope.Org, d.Scope.Sandbox, d.ID, etag, 1, ms, ms, by.User, by.User, by.Client, by.Client, d.State,
		string(w.body), string(w.meta), w.secret,
	}
	if tx.s.dialect.copies {
		names += ", body_q, meta_q"
		args = append(args, w.bodyCopy, w.metaCopy)
	}
	n, err := tx.exec("INSERT INTO documents ("+names+") VALUES ("+placeholders(1, len(args))+") ON CONFLICT DO NOTHING", args...)
	if err != nil {
		return fmt.Errorf("insert %s %s: %w", d.Kind, d.ID, err)
	}
	if n == 0 {
		return fmt.Errorf("insert %s %s: %w", d.Kind, d.ID, weir.ErrConflict)
	}
	d.ETag, d.Rev = etag, 1
	d.CreatedAt, d.UpdatedAt = ms, ms
	d.CreatedBy, d.UpdatedBy, d.CreatedClient, d.UpdatedClient = by.User, by.User, by.Client, by.Client
	d.Body, d.Meta = w.body, w.meta
	return nil
}

// Get reads one document of exactly that scope, without its secret (see [Tx.Reveal]); [weir.ErrNotFound] if there is none.
func (tx *Tx) Get(kind string, scope weir.Scope, id string) (*weir.Doc, error) {
	if !plainText(id) {
		return nil, fmt.Errorf("%s: %w", kind, weir.ErrNotFound)
	}
	var d weir.Doc
	err := tx.row("SELECT "+columns+" FROM documents WHERE kind = $1 AND org = $2 AND sandbox = $3 AND id = $4",
		[]any{kind, scope.Org, scope.Sandbox, id}, docFields(&d)...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%s %s: %w", kind, id, weir.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("get %s %s: %w", kind, id, err)
	}
	return &d, nil
}

// GetAny reads the document from the first of the scopes that has it; [weir.ErrNotFound] if none does.
func (tx *Tx) GetAny(kind string, scopes []weir.Scope, id string) (*weir.Doc, error) {
	for _, scope := range scopes {
		d, err := tx.Get(kind, scope, id)
		if !errors.Is(err, weir.ErrNotFound) {
			return d, err
		}
	}
	return nil, fmt.Errorf("%s %s: %w", kind, id, weir.ErrNotFound)
}

// Reveal opens the secret of a stored document: the JSON that was given as Secret, nil if there is none. d.Secret stays as it is.
func (tx *Tx) Reveal(d *weir.Doc) (json.RawMessage, error) {
	var sealed []byte
	err := tx.row("SELECT secret FROM documents WHERE kind = $1 AND org = $2 AND sandbox = $3 AND id = $4", docKey(d), &sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%s %s: %w", d.Kind, d.ID, weir.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("reveal %s %s: %w", d.Kind, d.ID, err)
	}
	if sealed == nil {
		return nil, nil
	}
	plain, err := tx.unseal(d, sealed)
	if err != nil {
		return nil, fmt.Errorf("reveal %s %s: %w", d.Kind, d.ID, err)
	}
	return plain, nil
}

// Update writes State, Body and Meta of a document that was read before, and Secret unless it is nil. It sets a new ETag, Rev+1,
// UpdatedAt (later than both the old UpdatedAt and CreatedAt) and the updating actors. The error is [weir.ErrConflict] if somebody has
// updated it since it was read, [weir.ErrNotFound] if it is gone. Read and update in the same transaction, or a [Tx.Touch] in between
// is lost.
func (tx *Tx) Update(d *weir.Doc, by weir.Actor) error {
	now := tx.s.now()
	w, err := tx.s.newWrite(d)
	if err != nil {
		return fmt.Errorf("update %s %s: %w", d.Kind, d.ID, err)
	}
	updatedAt := max(now.UnixMilli(), d.UpdatedAt+1, d.CreatedAt+1)
	etag := weir.NewETag(now)
	args := append(docKey(d), d.ETag, d.Rev, etag, updatedAt, by.User, by.Client, d.State, string(w.body), string(w.meta))
	set := "etag = $7, rev = rev + 1, updated_at = $8, updated_by = $9, updated_client = $10, state = $11, body = $12, meta = $13"
	if tx.s.dialect.copies {
		args = append(args, w.bodyCopy, w.metaCopy)
		set += ", body_q = $14, meta_q = $15"
	}
	if w.secret != nil {
		args = append(args, w.secret)
		set += fmt.Sprintf(", secret = $%d", len(args))
	}
	n, err := tx.exec("UPDATE documents SET "+set+" WHERE kind = $1 AND org = $2 AND sandbox = $3 AND id = $4 AND etag = $5 AND rev = $6", args...)
	if err != nil {
		return fmt.Errorf("update %s %s: %w", d.Kind, d.ID, err)
	}
	if n == 0 {
		if _, err := tx.Get(d.Kind, d.Scope, d.ID); err != nil {
			return err
		}
		return fmt.Errorf("update %s %s: %w", d.Kind, d.ID, weir.ErrConflict)
	}
	d.ETag, d.Rev, d.UpdatedAt, d.UpdatedBy, d.UpdatedClient = etag, d.Rev+1, updatedAt, by.User, by.Client
	d.Body, d.Meta = w.body, w.meta
	return nil
}

// Touch writes Meta and State, and Secret unless it is nil, whatever the stored version is: no new ETag, no UpdatedAt, so that a client's
// read-modify-write goes through (flow-service §8.8). [weir.ErrNotFound] if the document is gone.
func (tx *Tx) Touch(d *weir.Doc) error {
	meta, err := object(d.Meta)
	if err != nil {
		return fmt.Errorf("touch %s %s: meta: %w", d.Kind, d.ID, err)
	}
	args := append(docKey(d), d.State, string(meta))
	set := "state = $5, meta = $6"
	if tx.s.dialect.copies {
		args = append(args, queryCopy(meta))
		set += ", meta_q = $7"
	}
	if d.Secret != nil {
		sealed, err := tx.s.keys.seal(d, d.Secret)
		if err != nil {
			return fmt.Errorf("touch %s %s: %w", d.Kind, d.ID, err)
		}
		args = append(args, sealed)
		set += fmt.Sprintf(", secret = $%d", len(args))
	}
	n, err := tx.exec("UPDATE documents SET "+set+" WHERE kind = $1 AND org = $2 AND sandbox = $3 AND id = $4", args...)
	if err != nil {
		return fmt.Errorf("touch %s %s: %w", d.Kind, d.ID, err)
	}
	if n == 0 {
		return fmt.Errorf("%s %s: %w", d.Kind, d.ID, weir.ErrNotFound)
	}
	d.Meta = meta
	return nil
}

// Delete removes a document; [weir.ErrNotFound] if there is none.
func (tx *Tx) Delete(kind string, scope weir.Scope, id string) error {
	if !plainText(id) {
		return fmt.Errorf("%s: %w", kind, weir.ErrNotFound)
	}
	n, err := tx.exec("DELETE FROM documents WHERE kind = $1 AND org = $2 AND sandbox = $3 AND id = $4", kind, scope.Org, scope.Sandbox, id)
	if err != nil {
		return fmt.Errorf("delete %s %s: %w", kind, id, err)
	}
	if n == 0 {
		return fmt.Errorf("%s %s: %w", kind, id, weir.ErrNotFound)
	}
	return nil
}

// write is a document ready for the columns.
type write struct {
	body, meta         json.RawMessage
	bodyCopy, metaCopy string
	secret             []byte // nil: none given
}

func (s *Store) newWrite(d *weir.Doc) (w write, err error) {
	if w.body, err = object(d.Body); err != nil {
		return w, fmt.Errorf("body: %w", err)
	}
	if w.meta, err = object(d.Meta); err != nil {
		return w, fmt.Errorf("meta: %w", err)
	}
	if s.dialect.copies {
		w.bodyCopy, w.metaCopy = queryCopy(w.body), queryCopy(w.meta)
	}
	if d.Secret != nil {
		w.secret, err = s.keys.seal(d, d.Secret)
	}
	return w, err
}

func docKey(d *weir.Doc) []any { return []any{d.Kind, d.Scope.Org, d.Scope.Sandbox, d.ID} }

// docFields are the scan targets for columns.
func docFields(d *weir.Doc) []any {
	return []any{
		&d.Kind, &d.Scope.Org, &d.Scope.Sandbox, &d.ID, &d.ETag, &d.Rev, &d.CreatedAt, &d.UpdatedAt,
		&d.CreatedBy, &d.UpdatedBy, &d.CreatedClient, &d.UpdatedClient, &d.State, (*rawText)(&d.Body), (*rawText)(&d.Meta),
	}
}

// rawText scans a text column into JSON bytes of its own.
type rawText json.RawMessage

func (r *rawText) Scan(v any) error {
	switch v := v.(type) {
	case string:
		*r = rawText(v)
	case []byte:
		*r = rawText(string(v))
	default:
		return fmt.Errorf("text column holds %T", v)
	}
	return nil
}

// plainText reports whether the database can hold the text: valid UTF-8 without NUL.
func plainText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// placeholders are $from, $from+1, … n times.
func placeholders(from, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "$%d", from+i)
	}
	return b.String()
}
