import Foundation
import Storage

/// The text of a file that the user of a command names.
/// - Parameters:
///   - what: what it is for, for errors.
///   - limit: bytes at most.
/// - Throws: `ExitStatus.usage`, with the reason on standard error, where it cannot be read.
func readUserFile(_ path: String, _ what: String, limit: Int) throws -> String {
    do { return try localText(path, limit: limit) } catch {
        printError("cannot read the \(what): \(error)")
        throw ExitStatus.usage
    }
}

/// Whether a directory is there.
func isDirectory(_ path: String) -> Bool {
    var isDirectory: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && isDirectory.boolValue
}
