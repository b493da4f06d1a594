//! The session as openstack_sdk's generated endpoints use it.

use async_trait::async_trait;
use bytes::Bytes;
use http::{Response, request::Builder};
use openstack_sdk_core::{
    api::{ApiError, AsyncClient, RestClient},
    catalog::ServiceEndpoint,
    types::{ApiVersion, BoxedAsyncRead, ServiceType},
};

use super::{
    super::{endpoint, wire::MICROVERSION},
    Session,
};
use crate::cloud::CloudError;

impl RestClient for Session {
    type Error = CloudError;

    fn get_current_project(&self) -> Option<openstack_sdk_auth_core::types::Project> {
        None
    }
}

#[async_trait]
impl AsyncClient for Session {
    async fn rest_async(&self, request: Builder, body: Vec<u8>) -> Result<Response<Bytes>, ApiError<CloudError>> {
        let request = request.body(body).map_err(|e| client(CloudError::Invalid(e.to_string())))?;
        self.send(request).await.map_err(client)
    }

    async fn rest_read_body_async(
        &self,
        _: Builder,
        _: BoxedAsyncRead,
    ) -> Result<Response<Bytes>, ApiError<CloudError>> {
        Err(client(CloudError::Invalid("this session uploads nothing".to_owned())))
    }

    async fn download_async(
        &self,
        _: Builder,
        _: Vec<u8>,
    ) -> Result<(http::HeaderMap, BoxedAsyncRead), ApiError<CloudError>> {
        Err(client(CloudError::Invalid("this session downloads nothing".to_owned())))
    }

    async fn get_service_endpoint(
        &self,
        service: &ServiceType,
        _: Option<&ApiVersion>,
    ) -> Result<ServiceEndpoint, ApiError<CloudError>> {
        let token = self.token(None).await.map_err(client)?;
        let url = token.endpoint(&service.to_string(), &self.config).map_err(client)?;
        let url = if *service == ServiceType::Compute { endpoint::compute(url) } else { url.to_owned() };
        let mut endpoint = ServiceEndpoint::from_url_string(&url, Some(&token.project))?;
        if endpoint.version().major == 0 {
            // Glance and Neutron are often listed without their version.
            let version = if *service == ServiceType::Network { "v2.0" } else { "v2" };
            let url = format!("{}/{version}", url.trim_end_matches('/'));
            endpoint = ServiceEndpoint::from_url_string(url, Some(&token.project))?;
        }
        if *service == ServiceType::Compute {
            endpoint.set_min_version(Some(MICROVERSION));
        }
        Ok(endpoint)
    }
}

fn client(source: CloudError) -> ApiError<CloudError> {
    ApiError::Client { source }
}
