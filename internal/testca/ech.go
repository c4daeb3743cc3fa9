package testca

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"

	"golang.org/x/crypto/cryptobyte"
)

// ECH makes a server's key for Encrypted Client Hello under a public name, which the server also names
// to clients that come with another one, and the ECHConfigList for clients (RFC 9849, 4).
func ECH(publicName string) (key tls.EncryptedClientHelloKey, list []byte, err error) {
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return key, nil, err
	}
	const version, x25519, hkdfSHA256, aes128GCM = 0xfe0d, 0x0020, 0x0001, 0x0001
	var b cryptobyte.Builder
	b.AddUint16(version)
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		b.AddUint8(1) // the configuration's number
		b.AddUint16(x25519)
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(private.PublicKey().Bytes()) })
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			b.AddUint16(hkdfSHA256)
			b.AddUint16(aes128GCM)
		})
		b.AddUint8(0) // the longest name that is hidden as well as shorter ones
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(publicName)) })
		b.AddUint16(0) // extensions
	})
	config, err := b.Bytes()
	if err != nil {
		return key, nil, err
	}
	var all cryptobyte.Builder
	all.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(config) })
	list, err = all.Bytes()
	return tls.EncryptedClientHelloKey{Config: config, PrivateKey: private.Bytes(), SendAsRetry: true}, list, err
}
