import Bytes
import Foundation
import Storage

/// The text of a file that the user of a command names.
/// - Parameters:
///   - what: what it is for, for errors.
///   - limit: bytes at most.
/// - Throws: `ExitStatus.usage`, with the reason on standard error, where it cannot be read.
func readUserFile(_ path: String, _ what: String, limit: Int) throws -> String {
    do { return try userText(path, limit: limit) } catch {
        printError("cannot read the \(what): \(error)")
        throw ExitStatus.usage
    }
}

/// The text of a file of the user's own: a pipe is read to its end.
func userText(_ path: String, limit: Int) throws(InputError) -> String {
    var status = stat()
    guard stat(path, &status) == 0, [S_IFIFO, S_IFCHR].contains(status.st_mode & S_IFMT) else {
        return try localText(path, limit: limit)
    }
    guard let handle = FileHandle(forReadingAtPath: path) else {
        throw InputError(.denied, "the file cannot be opened", file: path)
    }
    var data = Data()
    while data.count <= limit, let part = try? handle.read(upToCount: 1 << 16), !part.isEmpty { data += part }
    guard data.count <= limit else {
        throw InputError(.limit, "the file is too large", file: path, expected: "at most \(limit) bytes")
    }
    guard let text = String(validating: data, as: UTF8.self) else {
        throw InputError(.input, "the file is not text", file: path, expected: "UTF-8")
    }
    return text
}

/// Whether a directory is there.
func isDirectory(_ path: String) -> Bool {
    var isDirectory: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && isDirectory.boolValue
}
