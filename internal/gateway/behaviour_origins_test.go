// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
)

// loopback is an address of a server of a trial.
var loopback = regexp.MustCompile(`127\.0\.0\.1:[1-9][0-9]*`)

// origins are the servers beside the backends that the main file may name: one for
// bundles, repositories and traces, and a Redis. They keep what they are asked.
type origins struct {
	bundle string

	mu    sync.Mutex
	asked map[string]int
	said  strings.Builder
}

// apart is a gateway of its own, with the settings of a text and a few routes.
func (l *lab) apart(t *testing.T, text string, with bool, want string) *view {
	t.Helper()
	dir := t.TempDir()
	own := &lab{t: t, dir: dir, words: l.words, key: l.key, otherKey: l.otherKey, serving: l.serving, counts: map[string]int{}}
	v := &view{lab: own, t: t, name: "a", host: "h.example", with: with, want: want, text: text, dir: dir, origin: &origins{asked: map[string]int{}}}
	extra := own.words.Replace("routes: [{name: extra, path: /extra, target: $A}]\n")
	v.origin.bundle = extra
	own.file("extra/routes.yaml", []byte(extra))
	must(t, os.MkdirAll(filepath.Join(dir, "none"), 0o750))
	own.file("certs/tls.crt", selfSigned(t, "one", v.host, l.key))
	own.file("certs/tls.key", keyPEM(t, l.key))
	clear, secure := httptest.NewServer(v.origin), httptest.NewUnstartedServer(v.origin)
	secure.TLS, secure.Config.ErrorLog = l.serving.Clone(), log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(clear.Close)
	t.Cleanup(secure.Close)
	words := append(own.pairs("", v.host), "$DIR", dir, "$HTTPS", secure.URL, "$HTTP", clear.URL, "$REDIS", v.origin.redis(t, nil), "$SREDIS", v.origin.redis(t, l.serving))
	settings, others, _ := strings.Cut(strings.NewReplacer(words...).Replace(text), "\n---\n")
	if !strings.Contains(others, "middlewares:") {
		others += "\nmiddlewares: [{name: login, type: basic, rule: {users: [\"a:b\"]}}, {name: rl, type: rateLimit, rule: {requestsPerUnit: 1000}}]"
	}
	routes := `[{name: home, path: /home, target: $A}, {name: hold, path: /hold, target: $A}, {name: m, path: /m, target: $A, middlewares: [m]},
    {name: limited, path: /limited, target: $A, middlewares: [rl]}, {name: big, path: /big, target: $A}, {name: ill, path: /ill, target: $A, healthCheck: {path: /status/500, interval: 1h}}]`
	own.file("goma.yml", []byte(own.words.Replace("gateway:\n  "+settings+"\n  routes: "+routes+"\n"+others+"\n")))
	own.r = start(t, Options{ConfigFile: filepath.Join(dir, "goma.yml"), WebSecure: "127.0.0.1:0"})
	own.r.until("the routes of the file", func(a Applied) bool { return len(a.Routes) >= 6 })
	if strings.Contains(text, "directory:") {
		own.r.waitReady() // what is there already has been read
	}
	return v
}

// read gives the main file, as it is before anything is made of it.
func (v *view) read() *config.File {
	v.t.Helper()
	text, err := os.ReadFile(filepath.Join(v.dir, "goma.yml"))
	must(v.t, err)
	// The places of both gateways of a trial are made the same.
	text = []byte(strings.ReplaceAll(string(text), v.dir, "/dir"))
	f, _, err := config.ParseFile("goma.yml", []byte(loopback.ReplaceAllString(string(text), "127.0.0.1:1")), config.LoadOptions{})
	must(v.t, err)
	return f
}

func (o *origins) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, _ := io.ReadAll(r.Body)
	o.mu.Lock()
	o.asked[r.URL.Path]++
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		o.asked[r.URL.Path+" "+r.TLS.PeerCertificates[0].Subject.CommonName]++
	}
	_, _ = fmt.Fprintln(&o.said, r.URL.Path, r.Header, string(text))
	o.mu.Unlock()
	switch r.URL.Path {
	case "/hold":
		hold(r)
	case "/bundle":
	default:
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	_, _ = io.WriteString(w, o.bundle)
}

// redis is a server of which nobody needs more than that it answers.
func (o *origins) redis(t *testing.T, secure *tls.Config) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test
	must(t, err)
	var group sync.WaitGroup
	group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = c.Close() })
			group.Go(func() { o.converse(c, secure) })
		}
	})
	t.Cleanup(group.Wait)
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

func (o *origins) converse(c net.Conn, secure *tls.Config) {
	defer c.Close() //nolint:errcheck // a test
	if secure != nil {
		s := tls.Server(c, secure)
		if s.Handshake() != nil { //nolint:noctx // a test
			return
		}
		if peers := s.ConnectionState().PeerCertificates; len(peers) > 0 {
			o.note("certificate " + peers[0].Subject.CommonName)
		}
		c = s
	}
	for r := bufio.NewReader(c); ; {
		words, err := command(r)
		if err != nil || len(words) == 0 {
			return
		}
		o.note(strings.ToLower(strings.Join(words, " ")))
		answer := "+OK\r\n"
		switch strings.ToLower(words[0]) {
		case "hello":
			answer = "-ERR unknown command\r\n"
		case "evalsha":
			answer = "*4\r\n:1\r\n:1\r\n:1\r\n:1\r\n"
		case "scan":
			answer = "*2\r\n$1\r\n0\r\n*0\r\n"
		}
		if _, err := io.WriteString(c, answer); err != nil {
			return
		}
	}
}

// command reads one of the protocol of Redis: a list of texts.
func command(r *bufio.Reader) (words []string, err error) {
	number := func() int {
		line, failure := r.ReadString('\n')
		if failure != nil || len(line) < 3 {
			err = io.ErrUnexpectedEOF
			return 0
		}
		n, _ := strconv.Atoi(strings.TrimSpace(line[1:]))
		return n
	}
	for n := number(); n > 0 && err == nil; n-- {
		word := make([]byte, number()+2)
		if _, failure := io.ReadFull(r, word); failure != nil {
			return nil, failure
		}
		words = append(words, string(word[:len(word)-2]))
	}
	return words, err
}

func (o *origins) note(text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.said.WriteString(" " + text + "\n")
}

func (o *origins) heard(word string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Contains(o.said.String(), word)
}

// spoken sees whether a word is said to Redis. Without the setting it is judged when
// something has been said.
func spoken(word string) func(*view) string {
	return func(v *view) string {
		v.send(http.MethodGet, "/limited")
		if !v.with && strings.Contains(v.text, "$REDIS") && !v.origin.heard("evalsha") {
			return "nothing is said"
		}
		return fmt.Sprint(v.origin.heard(word))
	}
}

// asked sees whether an origin is asked for a path, at least so often.
func asked(path string, times int) func(*view) string {
	return func(v *view) string {
		v.origin.mu.Lock()
		defer v.origin.mu.Unlock()
		return fmt.Sprint(v.origin.asked[path] >= times)
	}
}

// exported sees whether traces hold a word.
func exported(word string) func(*view) string {
	return func(v *view) string {
		v.send(http.MethodGet, "/home")
		v.lab.r.end()
		return fmt.Sprint(v.origin.heard(word))
	}
}

// ended sees how often the log of five requests has a word.
func ended(word string) func(*view) string {
	return func(v *view) string {
		for range 5 {
			v.send(http.MethodGet, "/home")
		}
		v.lab.r.end()
		return fmt.Sprint(strings.Count(v.lab.r.log.String(), word))
	}
}

func logged(words ...string) func(*view) string {
	return func(v *view) string {
		for _, w := range words {
			if strings.Contains(v.lab.r.log.String(), w) {
				return "true"
			}
		}
		return "false"
	}
}

// admitted sees the status of an answer of the admin listener.
func admitted(_, path string) func(*view) string {
	return func(v *view) string {
		code, _ := v.lab.r.ask(v.lab.r.at.Admin, path)
		return strconv.Itoa(code)
	}
}

func reloaded(v *view) string {
	return strconv.Itoa(v.send(http.MethodPost, "/gateway/reload", "Authorization", "Bearer t").status)
}

// appears sees a route that is put into a directory while the gateway runs.
func appears(v *view) string {
	v.lab.file("none/routes.yaml", []byte(v.origin.bundle))
	return status(http.MethodGet, "/extra")(v)
}

func kept(v *view) string {
	_, err := os.Stat(filepath.Join(v.dir, "kept.json"))
	return fmt.Sprint(err == nil)
}

// illness sees the health of the route that is ill, and the reason.
func illness(v *view) string {
	_, text := v.lab.r.ask(v.lab.r.at.Admin, "/healthz/routes")
	var all struct {
		Routes []struct{ Name, Status, Error string }
	}
	if err := json.Unmarshal([]byte(text), &all); err != nil || len(all.Routes) != 1 {
		return text
	}
	return strings.TrimSuffix(all.Routes[0].Status+": "+all.Routes[0].Error, ": ")
}

// bound sees the address that an entry point takes.
func bound(point string) func(*view) string {
	return func(v *view) string {
		o := Options{ConfigFile: filepath.Join(v.dir, "goma.yml"), Web: None, WebSecure: None, Admin: None, LogWriter: io.Discard}
		switch point {
		case nameWeb:
			o.Web = ""
		case nameWebSecure:
			o.WebSecure = ""
		default:
			o.Admin = ""
		}
		g, err := assemble(o)
		must(v.t, err)
		defer g.log.Close()
		must(v.t, g.listen())
		defer g.listeners.close()
		at := g.listeners.addresses()
		host, _, err := net.SplitHostPort(at.Web + at.WebSecure + at.Admin)
		must(v.t, err)
		return host
	}
}

// balanced sees whether a connection of a load balancer that names its client is served.
func balanced(point string) func(*view) string {
	return func(v *view) string {
		at := map[string]string{nameWeb: v.lab.r.at.Web, nameWebSecure: v.lab.r.at.WebSecure, nameAdmin: v.lab.r.at.Admin}[point]
		c, err := net.Dial("tcp", at) //nolint:noctx // a test
		must(v.t, err)
		defer c.Close() //nolint:errcheck // a test
		must(v.t, c.SetDeadline(time.Now().Add(patience)))
		_, _ = io.WriteString(c, "PROXY TCP4 192.0.2.1 198.51.100.2 1 2\r\n")
		if point == nameWebSecure {
			c = tls.Client(c, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // only the header before matters
		}
		_, _ = io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: h.example\r\nConnection: close\r\n\r\n")
		line, _ := bufio.NewReader(c).ReadString('\n')
		return fmt.Sprint(strings.Contains(line, " 200 "))
	}
}

// cut sees whether a connection on which nothing more comes is ended.
func cut(request string) func(*view) string {
	return func(v *view) string {
		c, err := net.Dial("tcp", v.lab.r.at.Web) //nolint:noctx // a test
		must(v.t, err)
		defer c.Close() //nolint:errcheck // a test
		_, err = io.WriteString(c, request)
		must(v.t, err)
		if !v.with {
			return "open"
		}
		must(v.t, c.SetDeadline(time.Now().Add(patience)))
		if _, err := io.Copy(io.Discard, c); err != nil {
			return err.Error()
		}
		return "cut"
	}
}

// untaken sees the end of an answer that its client does not take.
func untaken(v *view) string {
	v.once.Do(func() {
		c, err := net.Dial("tcp", v.lab.r.at.Web) //nolint:noctx // a test
		must(v.t, err)
		v.t.Cleanup(func() { _ = c.Close() })
		_, err = io.WriteString(c, "GET /big HTTP/1.1\r\nHost: h.example\r\n\r\n")
		must(v.t, err)
	})
	return logged("url=/big")(v)
}

// upgraded sees which protocol a backend is asked to change to.
func upgraded(point string) func(*view) string {
	return func(v *view) string {
		headers := []string{"Connection", "Upgrade", "Upgrade", "mqtt"}
		if point == nameWeb {
			return v.send(http.MethodGet, "/home", headers...).header.Get("Seen-Upgrade")
		}
		c, err := tls.Dial("tcp", v.lab.r.at.WebSecure, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec,noctx // only the request matters
		must(v.t, err)
		defer c.Close() //nolint:errcheck // a test
		_, err = io.WriteString(c, "GET /home HTTP/1.1\r\nHost: h.example\r\nConnection: Upgrade\r\nUpgrade: mqtt\r\n\r\n")
		must(v.t, err)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		must(v.t, err)
		_ = resp.Body.Close()
		return resp.Header.Get("Seen-Upgrade")
	}
}
