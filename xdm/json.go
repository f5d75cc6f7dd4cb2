package xdm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"weir"
)

// decodeObject reads one JSON object and keeps number text.
func decodeObject(raw []byte) (map[string]any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, &weir.Error{Code: codeBody, Message: "the document is not readable JSON: " + err.Error(), Err: err}
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, &weir.Error{Code: codeBody, Message: "there is text after the JSON document"}
	}
	t, ok := v.(map[string]any)
	if !ok {
		return nil, &weir.Error{Code: codeBody, Message: "the document must be a JSON object, it is " + jsonKind(v)}
	}
	return t, nil
}

func jsonKind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case string:
		return "text"
	case []any:
		return "an array"
	case map[string]any:
		return "an object"
	}
	return "a number"
}

// encode writes a tree with sorted members. A tree came from JSON, so it cannot fail.
func encode(v any) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(fmt.Sprintf("xdm: encode: %v", err)) // only trees of decoded JSON are written
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
