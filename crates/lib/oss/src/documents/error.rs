//! Failed calls: a status, a code that programs match on, and a message for people.

use serde::Serialize;

/// The body of a failed call.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Error {
    /// What programs match on.
    pub code: Code,
    /// What people read.
    pub message: String,
    /// The same as in the header `x-oss-request-id`.
    pub request_id: String,
    /// The host that was asked.
    pub host_id: String,
    /// Only beside [`Code::SignatureDoesNotMatch`]: what the service signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub string_to_sign: Option<String>,
}

macro_rules! codes {
    ($($name:ident $status:literal $message:literal,)+) => {
        /// The error codes that kiln answers with, each under its own name on the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
        #[non_exhaustive]

        pub enum Code { $(#[doc = $message] $name,)+ }

        impl Code {
            /// The HTTP status.
            pub fn status(self) -> u16 {
                match self { $(Self::$name => $status,)+ }
            }

            /// The code on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            /// What to tell where there is nothing better.
            pub fn message(self) -> &'static str {
                match self { $(Self::$name => $message,)+ }
            }
        }
    };
}

codes! {
    AccessDenied 403 "You have no right to access this object.",
    BucketAlreadyExists 409 "The requested bucket name is not available.",
    BucketNotEmpty 409 "The bucket you tried to delete is not empty.",
    EntityTooLarge 400 "Your proposed upload exceeds the maximum allowed size.",
    EntityTooSmall 400 "Your proposed upload is smaller than the minimum allowed size.",
    FileAlreadyExists 409 "The object you specified already exists and can not be overwritten.",
    InternalError 500 "Please contact the server administrator.",
    InvalidAccessKeyId 403 "The OSS Access Key Id you provided does not exist in our records.",
    InvalidArgument 400 "The argument you provided is invalid.",
    InvalidBucketName 400 "The specified bucket is not valid.",
    InvalidDigest 400 "The Content-MD5 you specified was invalid.",
    InvalidObjectName 400 "The specified object is not valid.",
    InvalidPart 400 "One or more of the specified parts could not be found or the ETag does not match.",
    InvalidPartOrder 400 "The list of parts was not in ascending order.",
    InvalidRange 416 "The requested range cannot be satisfied.",
    InvalidURI 400 "The path of the request is not valid.",
    MalformedXML 400 "The XML you provided was not well-formed or is not of this request.",
    MethodNotAllowed 405 "The specified method is not allowed against this resource.",
    MissingContentLength 411 "You must provide the Content-Length HTTP header.",
    NoSuchBucket 404 "The specified bucket does not exist.",
    NoSuchKey 404 "The specified key does not exist.",
    NoSuchUpload 404 "The specified upload does not exist.",
    NotImplemented 501 "The request needs a function that is not implemented.",
    PreconditionFailed 412 "At least one of the preconditions you specified did not hold.",
    RequestTimeTooSkewed 403 "The difference between the request time and the current time is too large.",
    RequestTimeout 400 "The client did not send the body in time.",
    SignatureDoesNotMatch 403 "The request signature we calculated does not match the signature you provided.",
}
