// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gitsource

import (
	"bytes"
	"compress/zlib"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // git's objects
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/gateway/source/webclient"
)

func clientOf() *webclient.Client { return webclient.New(webclient.TLS{}) }

func parsed(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	check(t, err)
	return u
}

// pack writes entries: header bytes, then what follows compressed.
func pack(count uint32, entries ...[]byte) []byte {
	var b bytes.Buffer
	b.WriteString("PACK")
	_ = binary.Write(&b, binary.BigEndian, uint32(2))
	_ = binary.Write(&b, binary.BigEndian, count)
	for _, e := range entries {
		b.Write(e)
	}
	sum := sha1.Sum(b.Bytes()) //nolint:gosec // git's objects
	b.Write(sum[:])
	return b.Bytes()
}

func packed(kind byte, size int, extra, content []byte) []byte {
	var b bytes.Buffer
	first := kind<<4 | byte(size&15)
	for size >>= 4; size > 0; size >>= 7 {
		b.WriteByte(first | 0x80)
		first = byte(size & 0x7f)
	}
	b.WriteByte(first)
	b.Write(extra)
	z := zlib.NewWriter(&b)
	_, _ = z.Write(content)
	_ = z.Close()
	return b.Bytes()
}

func TestAHostilePackIsRefused(t *testing.T) { // S4
	t.Parallel()
	blob := packed(kindBlob, 5, nil, []byte("hello"))
	id := nameOf(object{kindBlob, []byte("hello")})
	unknown := oid{1}
	good := pack(1, blob)
	for _, c := range []struct {
		name string
		data []byte
		want error
	}{
		{"a good one", good, nil},
		{"one that is cut off", good[:len(good)-3], errors.New("unexpected EOF")},
		{"nothing", nil, errors.New("unexpected EOF")},
		{"another format", append([]byte("KCAP"), good[4:]...), errBadPack},
		{"a wrong checksum", append(bytes.Clone(good[:len(good)-1]), 0), errBadPack},
		{"more objects than anybody has", pack(1 << 30), errTooLarge},
		{"a size beyond all bounds", pack(1, packed(kindBlob, 1<<40, nil, nil)), errTooLarge},
		{"less than promised", pack(1, packed(kindBlob, 9, nil, []byte("hello"))), errBadPack},
		{"more than promised", pack(1, packed(kindBlob, 2, nil, []byte("hello"))), errBadPack},
		{"an unknown type", pack(1, packed(5, 5, nil, []byte("hello"))), errBadPack},
		{"a delta of nothing", pack(1, packed(kindRefDelta, 3, unknown[:], []byte{5, 1, 0})), errBadPack},
		{"a delta of itself", pack(1, packed(kindOfsDelta, 3, []byte{0}, []byte{5, 1, 0})), errBadPack},
		{"a delta of what is before the pack", pack(1, packed(kindOfsDelta, 3, []byte{0x7f}, []byte{5, 1, 0})), errBadPack},
		{"a delta that copies too much", pack(2, blob, packed(kindRefDelta, 4, id[:], []byte{5, 9, 0x90, 9})), errBadPack},
		{"a delta that is cut off", pack(2, blob, packed(kindRefDelta, 3, id[:], []byte{5, 9, 0x9f})), errBadPack},
		{"a delta of another size", pack(2, blob, packed(kindRefDelta, 4, id[:], []byte{4, 1, 1, 'x'})), errBadPack},
		{"a delta with a promise", pack(2, blob, packed(kindRefDelta, 7, id[:], []byte{5, 0xff, 0xff, 0xff, 0xff, 0xff, 1})), errTooLarge},
		{"a bomb", pack(1, packed(kindBlob, maxUnpacked+1, nil, make([]byte, 1<<20))), errTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			objects, err := unpack(bytes.NewReader(c.data))
			switch {
			case c.want == nil && (err != nil || string(objects[id].data) != "hello"):
				t.Errorf("%v, %v", objects, err)
			case c.want != nil && (err == nil || !errors.Is(err, c.want) && err.Error() != c.want.Error()):
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestDeltasAreResolvedInAnyOrder(t *testing.T) {
	t.Parallel()
	base := object{kindBlob, []byte("hello")}
	id := nameOf(base)
	next := object{kindBlob, []byte("hello world")}
	nextID := nameOf(next)
	// The second comes of the first, the third of the second, and both are first.
	third := packed(kindRefDelta, 5, nextID[:], []byte{11, 5, 0x91, 6, 5})
	second := packed(kindRefDelta, 11, id[:], append([]byte{5, 11, 0x90, 5, 6}, " world"...))
	objects, err := unpack(bytes.NewReader(pack(3, third, second, packed(kindBlob, 5, nil, base.data))))
	if err != nil {
		t.Fatal(err)
	}
	if string(objects[nextID].data) != "hello world" || string(objects[nameOf(object{kindBlob, []byte("world")})].data) != "world" {
		t.Errorf("%v", objects)
	}
}

func FuzzUnpack(f *testing.F) {
	blob := packed(kindBlob, 5, nil, []byte("hello"))
	id := nameOf(object{kindBlob, []byte("hello")})
	f.Add(pack(1, blob))
	f.Add(pack(2, blob, packed(kindRefDelta, 11, id[:], append([]byte{5, 11, 0x90, 5, 6}, " world"...))))
	f.Fuzz(func(t *testing.T, data []byte) {
		objects, err := unpack(bytes.NewReader(data))
		if err != nil {
			return
		}
		for name, o := range objects {
			if nameOf(o) != name {
				t.Errorf("%s is %s", name, nameOf(o))
			}
		}
	})
}

func TestAWordOfTheShellStaysOneWord(t *testing.T) { // T6
	t.Parallel()
	for _, s := range []string{"/srv/r.git", "a b", "a'b", "'; touch /tmp/x; '", "$(id)", "a!b", "`id`", "~me/r"} {
		out, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+shellWord(s)).Output()
		if err != nil || string(out) != s {
			t.Errorf("%q becomes %q, %v", s, out, err)
		}
	}
}

func TestWhatAServerSaysCanStandInALog(t *testing.T) {
	t.Parallel()
	got := printable("a\nlevel=error\x1b[31m\x00" + strings.Repeat("x", 1000))
	if strings.ContainsAny(got, "\n\x1b\x00") || len(got) > 310 {
		t.Errorf("%q", got)
	}
}

func TestAWebhookIsBelievedWithItsSecretOnly(t *testing.T) { // S4
	t.Parallel()
	const secret, event = "a-secret-of-some-length", `{"ref":"refs/heads/main"}`
	sign := func(key, text string) string {
		h := hmac.New(sha256.New, []byte(key))
		h.Write([]byte(text))
		return hex.EncodeToString(h.Sum(nil))
	}
	for _, c := range []struct {
		name, header, value string
		code                int
	}{
		{"GitHub", "X-Hub-Signature-256", "sha256=" + sign(secret, event), 202},
		{"Bitbucket", "X-Hub-Signature", "sha256=" + sign(secret, event), 202},
		{"Gitea", "X-Gitea-Signature", sign(secret, event), 202},
		{"GitLab", "X-Gitlab-Token", secret, 202},
		{"nobody", "X-Nothing", "", 401},
		{"another key", "X-Hub-Signature-256", "sha256=" + sign("other", event), 401},
		{"an empty key", "X-Hub-Signature-256", "sha256=" + sign("", event), 401},
		{"another message", "X-Hub-Signature-256", "sha256=" + sign(secret, event+" "), 401},
		{"half a signature", "X-Hub-Signature-256", "sha256=" + sign(secret, event)[:32], 401},
		{"a weak signature", "X-Hub-Signature", "sha1=" + strings.Repeat("0", 40), 401},
		{"a wrong token", "X-Gitlab-Token", secret + "x", 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			read := 0
			h := Webhook(secret, func() { read++ })
			r := httptest.NewRequest(http.MethodPost, WebhookPath, strings.NewReader(event))
			r.Header.Set(c.header, c.value)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != c.code || (read == 1) != (c.code == 202) {
				t.Errorf("%d, read %d times", w.Code, read)
			}
		})
	}
	r := httptest.NewRequest(http.MethodPost, WebhookPath, strings.NewReader(event))
	r.Header.Set("X-Hub-Signature-256", "sha256="+sign("", event))
	w := httptest.NewRecorder()
	Webhook("", func() { t.Error("without a secret anybody is believed") }).ServeHTTP(w, r)
	if w.Code != 401 {
		t.Errorf("%d", w.Code)
	}
}
