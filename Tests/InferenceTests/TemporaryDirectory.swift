import Foundation

/// A directory that is removed when it is no longer used.
final class TemporaryDirectory: Sendable {
    let url = FileManager.default.temporaryDirectory.appending(path: "beamline-" + UUID().uuidString)

    deinit { try? FileManager.default.removeItem(at: url) }

    /// The names of its files, sorted.
    var files: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []).sorted() }
}
