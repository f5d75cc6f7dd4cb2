// Package mapping is the Data Prep language and what it is used for: expressions, mapping sets, and the transformation of one record
// into the shape of a target schema (contract data-prep).
//
// A text becomes an [Expr] in phases, one file each: lexer, parser (ast), check, compile (eval). Functions are literals in the
// funcs_ files: name, documentation, typed signatures, executed examples and implementation in one place; the reference page,
// the language endpoints and the tests read the same literals.
//
// A [Set] is a mapping set document. [Set.Validate] says everything that is wrong with it; [NewTransformer] makes the general path that turns
// a record into a row and is the ground truth for the compiled column program.
package mapping
