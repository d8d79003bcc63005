package import Access
import HTTPFace
import NIOSSL

/// Where a coordinator listens, and to whom.
package struct Listening: Sendable {
    /// The address to listen on: a name, or an IPv4 or IPv6 address.
    package var host: String
    /// The port for workers (gRPC).
    package var workersPort: Int
    /// The port for people (REST).
    package var restPort: Int
    /// Workers and people connect over TLS where there is one.
    package var certificate: ServerCertificate?
    /// Whose tokens are asked for; nil where everybody is let in.
    package var tokens: TokenStore?
    /// Names by which people call the REST interface, beside those of this machine and of the certificate; `*` for any.
    package var allowedHosts: [String] = []

    package init(
        host: String, workersPort: Int, restPort: Int, certificate: ServerCertificate? = nil, tokens: TokenStore? = nil
    ) {
        self.host = host
        self.workersPort = workersPort
        self.restPort = restPort
        self.certificate = certificate
        self.tokens = tokens
    }

    /// Whose requests the REST interface answers.
    func policy() throws -> RequestPolicy {
        RequestPolicy(
            names: ServerNames.own(listeningOn: host) + (try certificate?.names() ?? []), allowed: allowedHosts)
    }
}

/// A server's certificate chain and key, PEM files.
package struct ServerCertificate: Sendable {
    package var chain: String
    package var key: String

    package init(chain: String, key: String) {
        self.chain = chain
        self.key = key
    }

    /// For HTTP.
    func tlsConfiguration() throws -> TLSConfiguration {
        .makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMFile(chain).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(file: key, format: .pem)))
    }

    /// The names of hosts that the certificate is for.
    func names() throws -> [String] {
        try NIOSSLCertificate.fromPEMFile(chain).prefix(1).flatMap { certificate in
            certificate._subjectAlternativeNames().compactMap { name in
                name.nameType == .dnsName ? String(decoding: name.contents, as: UTF8.self) : nil
            }
        }
    }
}
