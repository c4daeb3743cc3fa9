package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tlsup/negotiate"
)

// A sourceFile is a Go file of the program, tests excepted.
type sourceFile struct {
	name   string // with slashes
	folder string
	set    *token.FileSet
	*ast.File
}

func (f sourceFile) at(n ast.Node) token.Position { return f.set.Position(n.Pos()) }

func sourceFiles(t *testing.T) []sourceFile {
	t.Helper()
	var files []sourceFile
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata"):
			return filepath.SkipDir
		case !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		files = append(files, sourceFile{name, path.Dir(name), set, parsed})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// Adding a protocol touches one file and its test.
func TestProtocolsAreNotNamed(t *testing.T) {
	names := map[string]bool{}
	for _, p := range negotiate.All() {
		for _, name := range append([]string{p.Name}, p.Aliases...) {
			names[name] = true
		}
	}
	for _, f := range sourceFiles(t) {
		if !slices.Contains([]string{".", "pipe", "tunnel", "internal/record", "internal/report", "internal/trace", "internal/trust", "internal/wire"}, f.folder) {
			continue
		}
		ast.Inspect(f.File, func(n ast.Node) bool {
			if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				if text, err := strconv.Unquote(literal.Value); err == nil && names[strings.ToLower(text)] {
					t.Errorf("%s: names the protocol %s", f.at(n), text)
				}
			}
			return true
		})
	}
}

// Another Go program can import negotiate, and gets no command line with it.
func TestNegotiateStandsAlone(t *testing.T) {
	own := []string{"tlsup/internal/quote"}
	never := []string{"flag", "log", "os/signal", "os/exec", "golang.org/x/term", "github.com/urfave", "github.com/schollz"}
	for _, f := range sourceFiles(t) {
		if f.folder != "negotiate" {
			continue
		}
		for _, spec := range f.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(imported, "tlsup/") && !slices.Contains(own, imported) ||
				slices.ContainsFunc(never, func(n string) bool { return imported == n || strings.HasPrefix(imported, n+"/") }) {
				t.Errorf("%s: imports %s", f.at(spec), imported)
			}
		}
	}
}

// The process belongs to package main: nothing else reads its arguments or streams, or ends it.
func TestProcessIsMains(t *testing.T) {
	mains := []string{"Args", "Exit", "Stdin", "Stdout", "Stderr"}
	for _, f := range sourceFiles(t) {
		if f.Name.Name == "main" {
			continue
		}
		ast.Inspect(f.File, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && slices.Contains(mains, s.Sel.Name) {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "os" && x.Obj == nil {
					t.Errorf("%s: uses os.%s", f.at(n), s.Sel.Name)
				}
			}
			return true
		})
	}
}
