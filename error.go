package weir

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Sentinels of the storage layers. A caller that knows the resource turns them into an [*Error] with its code.
var (
	// ErrNotFound says that no document, object or table of that name is visible in the scope.
	ErrNotFound = errors.New("not found")
	// ErrConflict says that somebody else won: a stale etag, a moved table pointer, a duplicate key.
	ErrConflict = errors.New("conflict")
)

// Error is the one failure a user sees. Code decides the HTTP status and the body family (see [Error.Status]).
// Message is safe to show: it says what was wrong, where, and what to do, and never holds a secret.
type Error struct {
	// Code is the full code with its family and status, for example FLOW-1439-404, CONNECTOR-1308-400,
	// XDM-1012-404, MAPPER-3012-400, INGEST-1555-400; gateway codes are bare digits (403010).
	Code string
	// Message is one sentence for the reader.
	Message string
	// Pointer is a JSON pointer into the request body, empty if the fault is not in a body.
	Pointer string
	// ID and Type name the resource for report.id and report.type of a not-found answer.
	ID, Type string
	// Details are further findings, all reported at once (for example every violation of a schema).
	Details []Finding
	// RetryAfter is whole seconds for the Retry-After header, 0 for none.
	RetryAfter int
	// Err is the cause, for the log only.
	Err error
}

// Finding is one of several faults in one body.
type Finding struct {
	Code    string `json:"code,omitempty"`
	Pointer string `json:"pointer,omitempty"`
	Message string `json:"message"`
}

func (e *Error) Error() string {
	if e.Pointer != "" {
		return e.Code + ": " + e.Message + " (at " + e.Pointer + ")"
	}
	return e.Code + ": " + e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an error with a code and a formatted message. A %w verb sets the cause.
func Errorf(code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Err: errors.Unwrap(err)}
}

// Family is the part of the code before the first dash: FLOW, CONNECTOR, XDM, MAPPER, INGEST, DCVS, CATALOG, EXPORT; empty for gateway codes.
func (e *Error) Family() string {
	if i := strings.IndexByte(e.Code, '-'); i > 0 {
		return e.Code[:i]
	}
	return ""
}

// Status is the HTTP status: the last dash-separated part of the code, or the first three digits of a gateway code.
// A code without a readable status is 500.
func (e *Error) Status() int {
	s := e.Code[strings.LastIndexByte(e.Code, '-')+1:]
	if e.Family() == "" && len(s) >= 3 {
		s = s[:3]
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 100 || n > 599 {
		return 500
	}
	return n
}

// CodeOf returns the code of the first *Error in err's chain, or "".
func CodeOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}
