import Foundation
package import HTTPTypes
package import Hummingbird
import NIOCore

/// Why a request is not answered, as an answer: JSON with one sentence.
package struct FaceFailure: HTTPResponseError {
    package let status: HTTPResponse.Status
    package let text: String
    package var headers: HTTPFields

    /// - Parameters:
    ///   - text: what is wrong, and what to do.
    ///   - headers: beside the content's type.
    package init(_ status: HTTPResponse.Status, _ text: String, headers: HTTPFields = [:]) {
        self.status = status
        self.text = text
        self.headers = headers
    }

    private struct Document: Encodable { let error: String }

    /// The document `{"error": text}`.
    static func body(_ text: String) -> ByteBuffer {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        return ByteBuffer(bytes: (try? encoder.encode(Document(error: text))) ?? Data("{}".utf8))
    }

    /// The answer.
    package var response: Response {
        var fields = headers
        fields[.contentType] = "application/json"
        return Response(status: status, headers: fields, body: .init(byteBuffer: Self.body(text)))
    }

    /// The answer to a request.
    package func response(from request: Request, context: some RequestContext) -> Response { response }
}
