// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package errorinterceptor

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/counter"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
)

func build(t *testing.T, files string) definition.Build {
	t.Helper()
	return definition.Build{
		Name: "pages", Route: definition.RouteInfo{Name: "shop", Path: "/"}, Pool: pool.New(), Track: t.Cleanup,
		Counters: counter.New(), FilesDir: files,
	}
}

func compiled(t *testing.T, b definition.Build, rule string, backend http.HandlerFunc) http.Handler {
	t.Helper()
	parsed, problems := parse([]byte(rule))
	if config.HasErrors(problems) {
		t.Fatal(problems)
	}
	h, err := parsed.Handler(b, backend)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// ask sends one request; headers are pairs of name and value.
func ask(h http.Handler, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r = r.WithContext(exchange.With(r.Context(), &exchange.Exchange{}))
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func failing(status int, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "a trace of the backend")
	}
}

func TestAListedStatusGetsTheBodyOfTheRule(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, rule, accept, wantType, want string }{
		{"a text", `"errors":[{"statusCode":500,"body":"Sorry"}]`, "", "text/plain; charset=utf-8", "Sorry\n"},
		{"the status and its reason", `"errors":[{"statusCode":500}]`, "", "text/plain; charset=utf-8", "500 Internal Server Error\n"},
		{"the name status", `"errors":[{"status":500,"body":"Sorry"}]`, "", "text/plain; charset=utf-8", "Sorry\n"},
		{"the name code", `"errors":[{"code":500,"body":"Sorry"}]`, "", "text/plain; charset=utf-8", "Sorry\n"},
		{"JSON for who asks for it", `"errors":[{"status":500,"body":"Sorry"}]`, "application/json", "application/json", `{"success":false,"statusCode":500,"error":"Sorry"}` + "\n"},
		{"a JSON document as it is", `"errors":[{"status":500,"body":"{\"e\":1}"}]`, "application/json, */*;q=0.1", "application/json", `{"e":1}`},
		{"XML for who asks for it", `"errors":[{"status":500,"body":"a<b"}]`, "application/xml", "application/xhtml+xml", "<error><success>false</success><statusCode>500</statusCode><error>a&lt;b</error></error>\n"},
		{"an HTML document", `"errors":[{"status":500,"body":"<!DOCTYPE html><p>Sorry"}]`, "text/html", "text/html; charset=utf-8", "<!DOCTYPE html><p>Sorry"},
		{"no HTML for a program", `"errors":[{"status":500,"body":"<html>Sorry"}]`, "application/json", "application/json", `{"success":false,"statusCode":500,"error":"\u003chtml\u003eSorry"}` + "\n"},
		{"the type of the rule", `"contentType":"application/json","errors":[{"status":500,"body":"Sorry"}]`, "text/html", "application/json", `{"success":false,"statusCode":500,"error":"Sorry"}` + "\n"},
		{"a problem document", `"contentType":"application/problem+json","errors":[{"status":500,"body":"{\"title\":\"Sorry\"}"}]`, "", "application/problem+json", `{"title":"Sorry"}`},
		{"any type of the rule", `"contentType":"text/html; charset=utf-8","errors":[{"status":500,"body":"<p>Sorry"}]`, "application/json", "text/html; charset=utf-8", "<p>Sorry"},
		{"the first of a status", `"errors":[{"status":500,"body":"one"},{"status":500,"body":"two"}]`, "", "text/plain; charset=utf-8", "one\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := ask(compiled(t, build(t, ""), `{"enabled":true,`+c.rule+`}`, failing(500, "Content-Type", "text/html")), "Accept", c.accept)
			if w.Code != 500 || w.Body.String() != c.want || w.Header().Get("Content-Type") != c.wantType {
				t.Fatalf("%d %s %q", w.Code, w.Header().Get("Content-Type"), w.Body)
			}
		})
	}
}

func TestTheHeadOfTheReplacedBodyIsGoneAndTheRestStays(t *testing.T) { // M30
	t.Parallel()
	w := ask(compiled(t, build(t, ""), `{"enabled":true,"errors":[{"status":503,"body":"Sorry"}]}`, failing(503,
		"Content-Length", "22", "Content-Encoding", "gzip", "Etag", `"x"`, "Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT", "Accept-Ranges", "bytes",
		"Content-Disposition", "inline", "Retry-After", "7", "Www-Authenticate", "Basic", "Set-Cookie", "a=b", "Content-Type", "text/plain")))
	for name := range map[string]bool{"Content-Encoding": true, "Etag": true, "Last-Modified": true, "Accept-Ranges": true, "Content-Disposition": true} {
		if got := w.Header().Get(name); got != "" {
			t.Errorf("%s is %q", name, got)
		}
	}
	for name, want := range map[string]string{"Content-Length": "6", "Retry-After": "7", "Www-Authenticate": "Basic", "Set-Cookie": "a=b"} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestWhatIsNoMessageIsLeftAlone(t *testing.T) { // M30
	t.Parallel()
	rule := `{"enabled":true,"errors":[{"status":500,"body":"Sorry"},{"status":200,"body":"Sorry"}]}`
	const trace = "a trace of the backend"
	for _, c := range []struct {
		name    string
		backend http.HandlerFunc
		request []string
	}{
		{"another status", failing(404), nil},
		{"an attachment", failing(500, "Content-Disposition", `Attachment; filename="a"`), nil},
		{"audio", failing(500, "Content-Type", "audio/ogg"), nil},
		{"video", failing(500, "Content-Type", "video/mp4"), nil},
		{"a PDF", failing(500, "Content-Type", "application/pdf"), nil},
		{"a script", failing(500, "Content-Type", "application/javascript"), nil},
		{"a large body", failing(500, "Content-Length", "10485761"), nil},
		{"a stream of events", failing(200, "Content-Type", "text/event-stream"), nil},
		{"a client that wants events", failing(500), []string{"Accept", "text/event-stream"}},
		{"an upgrade", failing(500), []string{"Upgrade", "websocket"}},
		{"gRPC by the request", failing(500), []string{"Content-Type", "application/grpc+proto"}},
		{"gRPC by the answer", failing(200, "Content-Type", "application/grpc"), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if w := ask(compiled(t, build(t, ""), rule, c.backend), c.request...); w.Body.String() != trace {
				t.Fatalf("%d %v %q", w.Code, w.Header(), w.Body)
			}
		})
	}
	t.Run("HEAD", func(t *testing.T) {
		t.Parallel()
		h := compiled(t, build(t, ""), rule, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "22")
			w.WriteHeader(500)
		})
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodHead, "/", nil))
		if w.Header().Get("Content-Length") != "22" {
			t.Fatal(w.Header())
		}
	})
	t.Run("a rule that is not enabled costs nothing", func(t *testing.T) {
		t.Parallel()
		parsed, _ := parse([]byte(`{"errors":[{"status":500}]}`))
		next := http.NewServeMux()
		if h, err := parsed.Handler(build(t, ""), next); h != http.Handler(next) || err != nil {
			t.Fatal(h, err)
		}
	})
}

func TestFormsOfMessagesAreReplaced(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"", "text/plain", "application/json", "application/problem+json", "application/xhtml+xml", "application/xml; charset=x", "image/png"} {
		w := ask(compiled(t, build(t, ""), `{"enabled":true,"errors":[{"status":500,"body":"Sorry"}]}`, failing(500, "Content-Type", form)))
		if w.Body.String() != "Sorry\n" {
			t.Errorf("%q: %q", form, w.Body)
		}
	}
}

// M30: the client has its answer before the backend has ended its own.
func TestTheClientDoesNotWaitForTheBodyThatItDoesNotGet(t *testing.T) {
	t.Parallel()
	got, left := make(chan struct{}), make(chan error, 1)
	h := compiled(t, build(t, ""), `{"enabled":true,"errors":[{"status":500,"body":"Sorry"}]}`, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(500)
		<-got
		for {
			if _, err := w.Write(make([]byte, 32<<10)); err != nil {
				left <- err
				panic(http.ErrAbortHandler) // as the proxy does
			}
		}
	})
	server := httptest.NewServer(h)
	defer server.Close()
	for range 2 {
		resp, err := http.Get(server.URL) //nolint:noctx // a test
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if string(body) != "Sorry\n" || err != nil {
			t.Fatalf("%q, %v", body, err)
		}
		_ = resp.Body.Close()
		got <- struct{}{}
		if err := <-left; err == nil {
			t.Fatal("the backend is listened to for ever")
		}
	}
}

func TestOtherAnswersStream(t *testing.T) { // M30, H8
	t.Parallel()
	second := make(chan struct{})
	server := httptest.NewServer(compiled(t, build(t, ""), `{"enabled":true,"errors":[{"status":500}]}`, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "one\n")
		_ = http.NewResponseController(w).Flush()
		<-second
		_, _ = io.WriteString(w, "two\n")
	}))
	defer server.Close()
	resp, err := http.Get(server.URL) //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // a test
	lines := bufio.NewReader(resp.Body)
	if line, _ := lines.ReadString('\n'); line != "one\n" {
		t.Fatal(line)
	}
	close(second)
	if line, _ := lines.ReadString('\n'); line != "two\n" {
		t.Fatal(line)
	}
}

func TestAPanicOfTheBackendIsNotHidden(t *testing.T) { // M4
	t.Parallel()
	h := compiled(t, build(t, ""), `{"enabled":true,"errors":[{"status":500}]}`, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(500)
		panic("boom")
	})
	defer func() {
		if p := recover(); p != "boom" {
			t.Errorf("panic %v", p)
		}
	}()
	ask(h)
}

func TestAFileIsReadBelowItsDirectoryOnly(t *testing.T) { // T8
	t.Parallel()
	dir := t.TempDir()
	files := filepath.Join(dir, "files")
	write := func(name, text string) {
		if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := func(target, name string) {
		if err := os.Symlink(target, filepath.Join(files, name)); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(dir, "secret"), "hush")
	write(filepath.Join(files, "sub", "500.html"), "<p>Sorry")
	write(filepath.Join(files, "large"), strings.Repeat("x", maxFileBytes+1))
	link("../secret", "out")
	link(filepath.Join(dir, "secret"), "absolute")
	link("sub", "inside")
	for _, name := range []string{"sub/500.html", "inside/500.html", filepath.Join(files, "sub/500.html"), files + "/x/../sub/500.html"} {
		w := ask(compiled(t, build(t, files), `{"enabled":true,"errors":[{"status":500,"file":"`+name+`"}]}`, failing(500)), "Accept", "application/json")
		if w.Body.String() != "<p>Sorry" || w.Header().Get("Content-Type") != htmlType {
			t.Errorf("%s: %q %v", name, w.Body, w.Header())
		}
	}
	for _, name := range []string{"../secret", "out", "absolute", filepath.Join(dir, "secret"), "/etc/passwd", "sub/../../secret", "none.html", "sub", "large", files} {
		parsed, problems := parse([]byte(`{"enabled":true,"errors":[{"status":500,"file":"` + name + `"}]}`))
		if parsed == nil {
			t.Fatal(problems)
		}
		_, err := parsed.Handler(build(t, files), http.NotFoundHandler())
		if err == nil || !strings.HasPrefix(err.Error(), "rule.errors[0].file: ") || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", name, err)
		}
	}
	parsed, _ := parse([]byte(`{"enabled":true,"errors":[{"status":500,"file":"a"}]}`))
	if _, err := parsed.Handler(build(t, ""), http.NotFoundHandler()); err == nil {
		t.Error("a file without a directory")
	}
}

func TestAFileThatAppearsIsWaitedFor(t *testing.T) {
	t.Parallel()
	b := build(t, t.TempDir())
	var followed []string
	b.DependOn = func(path string) { followed = append(followed, path) }
	parsed, _ := parse([]byte(`{"enabled":true,"errors":[{"status":500,"file":"late.html"}]}`))
	if _, err := parsed.Handler(b, http.NotFoundHandler()); err == nil {
		t.Error("a missing file is no problem")
	}
	if len(followed) != 1 || followed[0] != filepath.Join(b.FilesDir, "late.html") {
		t.Errorf("followed %v", followed)
	}
	b.CheckOnly = true
	if _, err := parsed.Handler(b, http.NotFoundHandler()); err != nil {
		t.Errorf("a check asks for a file of another machine: %v", err)
	}
}

func TestReplacedAnswersAreCountedAndExplained(t *testing.T) {
	t.Parallel()
	b := build(t, "")
	count, release := b.Counters.Get(intercepted, "shop", "502")
	defer release()
	h := compiled(t, b, `{"enabled":true,"errors":[{"status":502}]}`, failing(502))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, c := range [][2]string{{"", "error_intercepted"}, {"upstream_error", "upstream_error"}} {
		x := &exchange.Exchange{Reason: c[0]}
		h.ServeHTTP(httptest.NewRecorder(), r.WithContext(exchange.With(r.Context(), x)))
		if x.Reason != c[1] {
			t.Errorf("reason %q, want %q", x.Reason, c[1])
		}
	}
	if count.Load() != 2 {
		t.Errorf("counted %d", count.Load())
	}
}

func TestARuleThatCannotBeMeantIsRefused(t *testing.T) { // C6
	t.Parallel()
	for rule, want := range map[string]string{
		`{"enabled":true,"errors":[{"body":"x"}]}`:                      "rule.errors[0].statusCode",
		`{"enabled":true,"errors":[{"status":42}]}`:                     "rule.errors[0].statusCode",
		`{"enabled":true,"errors":[{"status":304}]}`:                    "rule.errors[0].statusCode",
		`{"enabled":true,"errors":[{"status":500,"statusCode":501}]}`:   "rule.errors[0]",
		`{"enabled":true,"contentType":"no","errors":[{"status":500}]}`: "rule.contentType",
		`{"enabled":true,"contentType":"a b/c","errors":[]}`:            "rule.contentType",
		`{"enabled":true,"errors":[{"status":500,"file":"a\u0000b"}]}`:  "rule.errors[0].file",
	} {
		parsed, problems := parse([]byte(rule))
		if parsed != nil || problems[0].Field != want {
			t.Errorf("%s: %v", rule, problems)
		}
	}
	for rule, want := range map[string]string{
		`{"enabled":true}`: "rule.errors", `{"errors":[{"status":500},{"code":500}]}`: "rule.errors[1]",
		`{"errors":[{"status":500,"body":"a","file":"b"}]}`: "rule.errors[0].file", `{"enabeld":true}`: "rule.enabeld",
	} {
		parsed, problems := parse([]byte(rule))
		if parsed == nil || len(problems) != 1 || problems[0].Field != want || problems[0].Severity != config.SeverityWarning {
			t.Errorf("%s: %v", rule, problems)
		}
	}
}
