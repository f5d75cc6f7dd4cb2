package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"weir"
	"weir/store"
)

// codeMediaType answers a body that is not JSON and says so (flow-service §1.6).
const codeMediaType = "CONNECTOR-1004-415"

// typePrefix begins the type member of service errors.
const typePrefix = "https://ns.adobe.com/aep/errors/"

// families map the part of a code before its first dash to the body its clients know. Codes without a family are the gateway's.
var families = map[string]func(*weir.Error, *call) object{
	"FLOW":      flowFailure,
	"CONNECTOR": flowFailure,
	"SANDBOX":   flowFailure,
	"WEIR":      flowFailure,
	"MAPPER":    mapperFailure,
	"XDM":       registryFailure,
	"CATALOG":   plainFailure,
	"EXPORT":    plainFailure,
	"INGEST":    plainFailure,
	"DCVS":      plainFailure,
	"PES":       labelFailure,
	"IMS":       tokenFailure,
	"ICEBERG":   icebergFailure,
}

// fail answers a failure: the only place that writes one. Errors without a code become the service's internal or not-found code; what
// they say goes to the log with the request id, not to the client.
func (s *Server) fail(w *recorder, c *call, err error) {
	e := s.coded(c, err)
	status := e.Status()
	level := s.Log.DebugContext
	if status >= http.StatusInternalServerError {
		level = s.Log.ErrorContext
	}
	level(context.WithoutCancel(c.ctx()), "failure", "code", e.Code, "error", err, "request", c.RequestID)
	if w.status != 0 {
		panic(http.ErrAbortHandler) // half an answer is out; the connection must not look as if it were whole
	}
	build := families[e.Family()]
	if build == nil {
		build = gatewayFailure
	}
	h := w.Header()
	h.Del("Location")
	h.Del("ETag")
	h.Set("Content-Type", "application/json;charset=utf-8")
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(e.RetryAfter))
	}
	body := build(e, c).raw()
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if c.req.Method != http.MethodHead {
		_, _ = w.Write(body) // the client is gone; there is nobody to tell
	}
}

// coded turns any error into one with a code.
func (s *Server) coded(c *call, err error) *weir.Error {
	if e, is := errors.AsType[*weir.Error](err); is {
		return e
	}
	codes := codesOf("WEIR")
	if c.service != nil {
		codes = c.service.codes
	}
	switch {
	case errors.Is(err, weir.ErrNotFound):
		return &weir.Error{Code: codes.notFound, Message: "The resource was not found.", Err: err}
	case errors.Is(err, weir.ErrConflict):
		return &weir.Error{Code: codes.conflict, Message: "Somebody else changed the resource at the same time. Read it again and repeat the call.", Err: err}
	case errors.Is(err, store.ErrDocument):
		return &weir.Error{Code: codes.badJSON, Message: "The document cannot be stored: it is nested too deeply.", Err: err}
	case errors.Is(err, context.Canceled) && c.ctx().Err() != nil:
		return &weir.Error{Code: codes.internal, Message: "The request was cancelled.", Err: err}
	}
	return &weir.Error{Code: codes.internal, Message: "Something failed inside the server. The log has it under request id " + c.RequestID + ".", Err: err}
}

// gatewayFailure is family 1: {"error_code","message"} (flow-service §1.5).
func gatewayFailure(e *weir.Error, _ *call) object {
	return object{}.set("error_code", e.Code).set("message", e.Message)
}

// flowFailure is family 2 and 3 (flow-service §1.5).
func flowFailure(e *weir.Error, c *call) object {
	report := object{}.set("detailed-message", e.Message)
	if e.ID != "" {
		report = report.set("id", e.ID)
	}
	report = report.set("request-id", c.RequestID)
	if e.Type != "" {
		report = report.set("type", e.Type)
	}
	o := object{}.set("type", typePrefix+e.Code).set("title", titleOf(e)).set("status", e.Status()).set("report", report).
		set("errorMessage", e.Message).set("errorDetails", e.Message).set("detail", e.Message)
	return withFindings(o, e)
}

// mapperFailure is the flow shape with the findings in errors[] and the first of them in errorDetails (data-prep §1).
func mapperFailure(e *weir.Error, c *call) object {
	o := flowFailure(e, c)
	if len(e.Details) > 0 {
		o = o.set("errorDetails", e.Details[0].Message)
	}
	return o
}

// withFindings adds errors[] if there is anything to point at.
func withFindings(o object, e *weir.Error) object {
	findings := e.Details
	if len(findings) == 0 && e.Pointer != "" {
		findings = []weir.Finding{{Code: e.Code, Pointer: e.Pointer, Message: e.Message}}
	}
	if len(findings) == 0 {
		return o
	}
	return o.set("errors", findings)
}

// registryFailure is the Schema Registry's body (schema-catalog-data §1.12).
func registryFailure(e *weir.Error, c *call) object {
	type subError struct {
		Code    string `json:"code,omitempty"`
		Message string `json:"detailed-message"`
		Path    string `json:"path,omitempty"`
	}
	subs := make([]subError, 0, len(e.Details))
	for _, f := range e.Details {
		subs = append(subs, subError{f.Code, f.Message, f.Pointer})
	}
	if len(subs) == 0 && e.Pointer != "" {
		subs = append(subs, subError{e.Code, e.Message, e.Pointer})
	}
	report := object{}.set("registryRequestId", c.RequestID).set("timestamp", c.server.Now().UTC().Format("01-02-2006 15:04:05")).
		set("detailed-message", e.Message).set("sub-errors", subs)
	return object{}.set("type", "http://ns.adobe.com/aep/errors/"+e.Code).set("title", titleOf(e)).set("status", e.Status()).
		set("report", report).set("detail", e.Message)
}

// plainFailure is the catalog's, data access' and batch ingestion's body (schema-catalog-data §2.3).
func plainFailure(e *weir.Error, c *call) object {
	o := object{}.set("type", typePrefix+e.Code).set("title", titleOf(e)).set("status", e.Status()).set("detail", e.Message).
		set("requestId", c.RequestID)
	return withFindings(o, e)
}

// labelFailure is the dataset label service's body (schema-catalog-data §2.11); its codes look like PES-404.
func labelFailure(e *weir.Error, c *call) object {
	return object{}.set("timestamp", c.server.Now().UnixMilli()).set("status", e.Status()).set("code", e.Code).set("message", e.Message).
		set("path", c.req.URL.Path)
}

// tokenFailure is OAuth's body. The error word stands in the middle of the code: IMS-invalid_client-401.
func tokenFailure(e *weir.Error, _ *call) object {
	return object{}.set("error", middle(e.Code)).set("error_description", e.Message)
}

// icebergFailure is the Iceberg REST catalog's body (rest-catalog.md). The exception stands in the middle: ICEBERG-NoSuchTableException-404.
func icebergFailure(e *weir.Error, _ *call) object {
	return object{}.set("error", object{}.set("message", e.Message).set("type", middle(e.Code)).set("code", e.Status()))
}

// middle is a code without its family and status.
func middle(code string) string {
	_, rest, _ := strings.Cut(code, "-")
	if i := strings.LastIndexByte(rest, '-'); i > 0 {
		return rest[:i]
	}
	return rest
}

// titleOf is the title of a code: its own, else the HTTP status text.
func titleOf(e *weir.Error) string {
	if i := strings.LastIndexByte(e.Code, '-'); i > 0 {
		if t := titles[e.Code[:i]]; t != "" {
			return t
		}
	}
	return http.StatusText(e.Status())
}

// missing says that the id in a path is unknown (FLOW-1439-404, R10).
func missing(kind, id string) *weir.Error {
	return &weir.Error{Code: "FLOW-1439-404", Message: fmt.Sprintf("No %s resource %s", kind, id), ID: id, Type: kind}
}

// dangling says that an id in a body is unknown (FLOW-1439-400, R10).
func dangling(kind, id, pointer string) *weir.Error {
	return &weir.Error{Code: "FLOW-1439-400", Message: fmt.Sprintf("No %s resource %s, which %s names", kind, id, pointer), ID: id, Type: kind, Pointer: pointer}
}

// fault is an error at a place in the request body.
func fault(code, pointer, format string, args ...any) *weir.Error {
	e := weir.Errorf(code, format, args...)
	e.Pointer = pointer
	return e
}
