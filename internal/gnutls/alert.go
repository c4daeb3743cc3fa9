package gnutls

// AlertText is what GnuTLS calls an alert (RFC 8446, 6).
func AlertText(code uint8) string {
	switch code {
	case 0:
		return "Close notify"
	case 10:
		return "Unexpected message"
	case 20:
		return "Bad record MAC"
	case 21:
		return "Decryption failed"
	case 22:
		return "Record overflow"
	case 30:
		return "Decompression failed"
	case 40:
		return "Handshake failed"
	case 42:
		return "Certificate is bad"
	case 43:
		return "Certificate is not supported"
	case 44:
		return "Certificate was revoked"
	case 45:
		return "Certificate is expired"
	case 46:
		return "Unknown certificate"
	case 47:
		return "Illegal parameter"
	case 48:
		return "CA is unknown"
	case 49:
		return "Access was denied"
	case 50:
		return "Decode error"
	case 51:
		return "Decrypt error"
	case 70:
		return "Error in protocol version"
	case 71:
		return "Insufficient security"
	case 80:
		return "Internal error"
	case 86:
		return "Inappropriate fallback"
	case 90:
		return "User canceled"
	case 100:
		return "No renegotiation is allowed"
	case 109:
		return "An extension was expected but was not seen"
	case 110:
		return "An unsupported extension was sent"
	case 112:
		return "The server name sent was not recognized"
	case 115:
		return "The SRP/PSK username is missing or not known"
	case 116:
		return "Certificate is required"
	case 120:
		return "No supported application protocol could be negotiated"
	}
	return "Unknown alert"
}
