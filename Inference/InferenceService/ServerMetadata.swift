/// The answer to GET /v2.
struct ServerMetadata: Codable, Equatable {
    var name: String
    var version: String
    var extensions: [String]
}

/// The answer to GET /v2/health/live.
struct ServerLive: Codable, Equatable { var live: Bool }

/// The answer to GET /v2/health/ready.
struct ServerReady: Codable, Equatable {
    /// Whether every model that was pushed answers.
    var ready: Bool
    /// Those that do not; nil where there are none.
    var failed: [ModelStore.Failure]?
}
