import ArgumentParser

/// The names by which clients may call an HTTP server.
struct AllowedHosts: ParsableArguments {
    @Option(
        name: .customLong("allowed-hosts"), parsing: .upToNextOption,
        help: """
            Further names by which clients call this server, in the header Host, as behind a proxy or of a service; \
            addresses, localhost, the machine's own names and those of the certificate always count. * allows any.
            """)
    var allowedHosts: [String] = []
}
