// Package jsontest holds, for tests, JSON against the schema that describes it.
package jsontest

import (
	"bytes"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// A Schema is a JSON Schema that is ready for use, by several goroutines too.
type Schema struct{ schema *jsonschema.Schema }

// Compile reads a schema, whose formats count.
func Compile(t testing.TB, schema []byte) *Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("schema.json", document); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return &Schema{compiled}
}

// Lines asserts that text is so many lines, each of which is JSON that the schema describes.
func (s *Schema) Lines(t testing.TB, text string, n int) {
	t.Helper()
	lines := strings.SplitAfter(text, "\n")
	if len(lines) != n+1 || lines[n] != "" {
		t.Errorf("%d lines, and %q behind them, not %d", len(lines)-1, lines[len(lines)-1], n)
	}
	for _, line := range lines[:len(lines)-1] {
		document, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
		if err == nil {
			err = s.schema.Validate(document)
		}
		if err != nil {
			t.Errorf("%v; the JSON is\n%s", err, line)
		}
	}
}
