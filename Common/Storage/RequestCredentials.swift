import Bytes
import Cluster
import NIOSSL

/// The credentials of one HTTP request: a token, or for TLS an X.509 proxy, and the certificates to trust.
struct RequestCredentials: Sendable {
    let token: String?
    let tls: TLSConfiguration?

    init(_ site: SiteAccess, _ url: String) throws(InputError) {
        guard StorageURL(url).isEncrypted else {
            (token, tls) = (nil, nil)
            return
        }
        let credentials = site.credentials
        token = try credentials.token()?.text
        var configuration = TLSConfiguration.makeClientConfiguration()
        if let directory = credentials.certificates { configuration.trustRoots = .file(directory) }
        if token == nil, let path = credentials.proxy {
            do {
                configuration.certificateChain = try NIOSSLCertificate.fromPEMFile(path).map { .certificate($0) }
                configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: path, format: .pem))
            } catch { throw InputError(.denied, "the X.509 proxy cannot be used: \(error)", object: path) }
        }
        tls = configuration
    }
}
