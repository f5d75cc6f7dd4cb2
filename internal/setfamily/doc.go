// Package setfamily makes a fixed family of mapping sets with their target schemas and records: 1 to 300 leaves, nested up to eight levels, with arrays,
// maps, wildcards, lambdas, and every function, method and operator of the mapping language. Tests hold the compiled program to the general evaluator
// over it; the benchmark measures how speed is spread over it. The same version of the package always makes the same bytes.
package setfamily
